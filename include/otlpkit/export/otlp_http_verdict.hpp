// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/export/http_date.hpp>
#include <otlpkit/export/http_exchange.hpp>
#include <otlpkit/export/otlp_response.hpp>
#include <otlpkit/sdk/exporter.hpp>

#include <boost/beast/http/status.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>

namespace otlpkit::inline OTLPKIT_ABI::exporters::detail {

/// What one attempt came to.
struct attempt_end {
  bool retry = false;
  sdk::export_result result;  ///< when not to be retried
  std::string trouble;        ///< in words; empty when all went well
  std::string kind;           ///< which trouble, for the rate limit
  std::optional<std::chrono::nanoseconds> retry_after;
};

[[nodiscard]] inline std::string seconds_text(std::chrono::nanoseconds t) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g s", static_cast<double>(t.count()) / 1e9);
  return text;
}

[[nodiscard]] inline std::string describe(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "unknown exception";
  }
}

/// "503 Service Unavailable", with the Location of a redirect.
[[nodiscard]] inline std::string status_text(const http_reply& reply) {
  std::string text = std::to_string(reply.status);
  const auto standard = boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(reply.status));
  text += ' ';
  text += reply.reason.empty() ? std::string{standard.data(), standard.size()} : printable(reply.reason, 60);
  if (!reply.location.empty()) text += " to " + printable(reply.location);
  return text;
}

/// Decides what a reply means for the batch: retryable, delivered (perhaps in part), or lost for good.
[[nodiscard]] inline attempt_end judge(const http_reply& reply, const transport& connection, std::size_t items,
                                       std::size_t response_limit) {
  attempt_end end;
  switch (reply.what) {
    case http_reply::result::lost:
      end.retry = !connection.is_final(reply.error);
      end.result = {items, sdk::drop_reason::unreachable};
      end.kind = "lost";
      end.trouble = (reply.any_byte ? "connection lost in the middle of the response: " : "connection lost: ") +
                    connection.explain(reply.error);
      return end;
    case http_reply::result::malformed:
      end.result = {items, sdk::drop_reason::rejected};
      end.kind = "malformed";
      end.trouble = "the answer is not HTTP (" + reply.error.message() + ")";
      return end;
    case http_reply::result::too_large:
      end.result = {items, sdk::drop_reason::rejected};
      end.kind = "response_size";
      end.trouble = "the response exceeds " + std::to_string(response_limit) + " bytes";
      return end;
    case http_reply::result::answered: break;
  }
  end.result.http_status = reply.status;
  const response_meaning meaning = interpret_response(reply.status, reply.body, !reply.encoded, items);
  end.kind = std::to_string(reply.status);
  switch (meaning.what) {
    case response_meaning::outcome::delivered:
      end.result = {static_cast<std::size_t>(meaning.rejected),
                    meaning.rejected > 0 ? sdk::drop_reason::rejected : sdk::drop_reason::none, reply.status};
      if (meaning.rejected > 0)
        end.trouble = "refused by the receiver: " + meaning.detail;
      else if (!meaning.detail.empty())
        end.trouble = "the receiver warns: " + meaning.detail;
      return end;
    case response_meaning::outcome::retry:
      end.retry = true;
      end.retry_after = parse_retry_after(reply.retry_after, std::chrono::system_clock::now());
      break;
    case response_meaning::outcome::refused: end.result = {items, sdk::drop_reason::rejected, reply.status}; break;
  }
  end.trouble = status_text(reply);
  if (!meaning.detail.empty()) end.trouble += ": " + meaning.detail;
  if (reply.status / 100 == 3) end.trouble += ": redirects are not followed, set the endpoint to the new URL";
  return end;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters::detail
