// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace shop {

struct aws_credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string region = "eu-central-1";
};

/// What of a request is signed.
struct aws_request {
  std::string method;
  std::string path;                            ///< "/bucket/key", not encoded
  std::map<std::string, std::string> headers;  ///< names in lower case; at least host, x-amz-date, x-amz-content-sha256
};

/// The Authorization header that signs a request to S3: AWS Signature Version 4, all of its headers included. The time
/// is that of x-amz-date, "20130524T000000Z"; the payload's hash that of x-amz-content-sha256.
[[nodiscard]] std::string sign_aws_v4(const aws_request& request, const aws_credentials& by);

/// Now, as x-amz-date has it.
[[nodiscard]] std::string aws_now();

/// A path with everything percent-encoded that S3 wants so.
[[nodiscard]] std::string aws_encoded(std::string_view path);

}  // namespace shop
