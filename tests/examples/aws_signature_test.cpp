// SPDX-License-Identifier: MIT
// links: example_shared
#include "shared/aws_signature.hpp"
#include "shared/sha256.hpp"

#include <doctest/doctest.h>

#include <string>

// The requests, keys and signatures of these cases are those that AWS publishes in "Signature Calculations for the
// Authorization Header: Transferring Payload in a Single Chunk (AWS Signature Version 4)".
namespace {

const shop::aws_credentials published{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"};

}  // namespace

TEST_CASE("an upload, with a key that must be encoded, is signed as AWS signs it") {
  const std::string hash = shop::sha256_of("Welcome to Amazon S3.");
  CHECK(hash == "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
  CHECK(shop::sign_aws_v4({"PUT",
                           "/test$file.text",
                           {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                            {"host", "examplebucket.s3.amazonaws.com"},
                            {"x-amz-content-sha256", hash},
                            {"x-amz-date", "20130524T000000Z"},
                            {"x-amz-storage-class", "REDUCED_REDUNDANCY"}}},
                          published) ==
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, "
        "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST_CASE("so is a download without a body") {
  CHECK(shop::sign_aws_v4({"GET",
                           "/test.txt",
                           {{"host", "examplebucket.s3.amazonaws.com"},
                            {"range", "bytes=0-9"},
                            {"x-amz-content-sha256", shop::sha256_of("")},
                            {"x-amz-date", "20130524T000000Z"}}},
                          published) ==
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST_CASE("paths are encoded byte by byte, but for slashes") {
  CHECK(shop::aws_encoded("/a b/~c_d-e.f/\xC3\xA9") == "/a%20b/~c_d-e.f/%C3%A9");
}
