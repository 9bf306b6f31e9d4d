// SPDX-License-Identifier: MIT
// needs: example_risk
#include <examples/short_shape.hpp>

#include <doctest/doctest.h>

#include <string>

namespace {

/// The tree of an assessment.
/// \param prediction the fifth check
/// \param alert      what follows the record
std::string assessed(const std::string& fields, const std::string& prediction, const std::string& alert = {}) {
  return "risk.assess [" + fields + R"(]
├─ SELECT risk_transactions
├─ risk.user_history
│  └─ SELECT risk_transactions
├─ risk.device_fingerprint
│  └─ SELECT risk_devices
├─ risk.location
│  └─ SELECT risk_users
├─ risk.behavior
│  └─ SELECT risk_transactions
)" + prediction +
         R"(├─ BEGIN
├─ INSERT risk_assessments
)" + alert +
         "└─ COMMIT\n";
}

constexpr const char* well = R"(├─ risk.ml_prediction
│  └─ POST /predict
│     └─ POST /predict
)";

constexpr const char* unreachable = "│  └─ POST /predict !ERROR(Connection refused)\n";

/// An event of the breaker.
std::string circuit(const std::string& name, const std::string& severity, const std::string& rest) {
  return "· on_circuit_" + name + " [event.severity=" + severity + " strategy.name=ml operation.key=ml.predict " +
         rest + "]\n";
}

/// A prediction that was done without.
std::string without(const std::string& error, const std::string& event, const std::string& call) {
  const std::string indent = call.empty() ? "│     " : "│  │  ";
  return "├─ risk.ml_prediction [otlpkit.fallback.error_type=" + error + "]\n" + (event.empty() ? "" : indent + event) +
         indent +
         "· on_fallback [event.severity=warning strategy.name=without_ml operation.key=ml.predict error.type=" + error +
         "]\n" + call;
}

}  // namespace

TEST_CASE("every path of risk has the trace it should have") {
  const scenario_run run = run_scenario("risk");
  CHECK(run.status == 0);
  const auto check = [&run](const char* title, const std::string& expected) {
    CHECK(short_diff(run, title, expected) == "");
  };
  const std::string usual = "transaction_id=t-1001 risk_score=0.048 risk_level=low degraded=false";
  const std::string usual_degraded = "transaction_id=t-1001 risk_score=0.034 risk_level=low degraded=true";
  const std::string failed = "boost::system::system_error";
  check("A payment as usual", assessed(usual, well));
  check("Three times the usual amount",
        assessed("transaction_id=t-1002 risk_score=0.524 risk_level=medium degraded=false", well));
  check("All of that from far away",
        assessed("transaction_id=t-1003 risk_score=0.913 risk_level=high degraded=false", well,
                 "├─ risk.alert [transaction_id=t-1003 risk_score=0.913]\n│  └─ INSERT risk_alerts\n"));
  check("A transaction nobody made",
        "risk.assess [transaction_id=t-9999 error.type=unknown_transaction] !ERROR(there is no transaction t-9999)\n"
        "└─ SELECT risk_transactions\n");
  check("The ML service is slow",
        assessed("transaction_id=t-1002 risk_score=0.452 risk_level=medium degraded=true",
                 without(failed, "",
                         "│  └─ POST /predict !ERROR(The socket was closed due to a timeout)\n"
                         "│     └─ POST /predict\n")));
  check("The ML service is down",
        assessed(usual_degraded,
                 without(failed,
                         circuit("opened", "error",
                                 "otlpkit.circuit.from=closed otlpkit.circuit.reason=consecutive_failures "
                                 "otlpkit.circuit.break_duration_ms=300.0"),
                         unreachable)) +
            "\n" + assessed(usual_degraded, without(failed, "", unreachable)));  // in the order of their text
  check("The circuit is open",
        assessed(usual_degraded,
                 without("broken_circuit",
                         circuit("rejected", "error", "error.type=broken_circuit otlpkit.circuit.state=open"), "")));
  const std::string tried =
      circuit("half_opened", "warning", "otlpkit.circuit.from=open otlpkit.circuit.reason=break_over");
  check(
      "After the break it is tried again",
      assessed(usual_degraded, without(failed,
                                       tried + "│  │  " +
                                           circuit("opened", "error",
                                                   "otlpkit.circuit.from=half_open otlpkit.circuit.reason=trial_failed "
                                                   "otlpkit.circuit.break_duration_ms=300.0"),
                                       unreachable)));
  check("It is back",
        assessed(usual, "├─ risk.ml_prediction\n│  │  " + tried + "│  │  " +
                            circuit("closed", "information",
                                    "otlpkit.circuit.from=half_open otlpkit.circuit.reason=trials_succeeded") +
                            "│  └─ POST /predict\n│     └─ POST /predict\n"));
  CHECK(run.output.find("risk.assessments{risk_level=high} 1\n") != std::string::npos);
}
