// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/http/server_options.hpp>

#include <sys/types.h>
#include <optional>
#include <string>
#include <vector>

namespace shop {

class scenario;

/// What a process of a scenario was started for.
struct role {
  std::string name;
  std::vector<std::string> arguments;
};

/// A service that is a process of its own: this program once more, playing a role. It has telemetry of its own, under
/// the role's name; what it records joins the trees of the scenario.
class service_process {
 public:
  /// Starts it, and waits until it listens. Throws std::runtime_error when it does not.
  service_process(scenario& joins, const role& as);
  service_process(const service_process&) = delete;
  service_process& operator=(const service_process&) = delete;
  ~service_process() { stop(); }

  /// "http://127.0.0.1:PORT"; it stays when the process is gone.
  [[nodiscard]] const std::string& url() const noexcept { return url_; }

  /// Lets it finish what it does, and waits for its end.
  void stop();

 private:
  scenario& scenario_;
  pid_t process_ = -1;
  int to_ = -1;
  int from_ = -1;
  std::string url_;
};

/// For main(), before anything else: set when this process is such a service.
[[nodiscard]] std::optional<role> role_of(int argc, char** argv);

/// Plays it: serves until the scenario says stop, or is gone.
/// \return main()'s exit status
[[nodiscard]] int serve(const role& as, otlpkit::http::router routes);

}  // namespace shop
