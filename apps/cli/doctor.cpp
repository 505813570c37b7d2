// moesaic doctor: what this machine offers to Moesaic, what is missing, and the command that mends
// it.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "core/error.h"
#include "core/json.h"
#include "core/version.h"
#include "doctor_checks.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

const char* word_for(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood:
      return "ok";
    case Verdict::kWarning:
      return "warning";
    case Verdict::kMissing:
      return "missing";
    case Verdict::kAbsent:
      return "-";
  }
  return "";
}

void print_checks(const std::vector<Check>& checks) {
  for (const auto& [name, version] : build_versions()) {
    std::puts(format("{:<16} {}", "built with", name + " " + version).c_str());
  }
  for (const Check& check : checks) {
    std::puts(format("{:<16} {:<8} {}", check.name, word_for(check.verdict), check.detail).c_str());
    if (!check.fix.empty()) std::puts(format("{:<16} -> {}", "", check.fix).c_str());
  }
}

void print_checks_as_json(const std::vector<Check>& checks, bool usable) {
  Json versions = Json::object();
  for (const auto& [name, version] : build_versions()) versions[name] = version;
  Json result = {{"usable", usable}, {"versions", versions}, {"checks", Json::array()}};
  for (const Check& check : checks) {
    result["checks"].push_back({{"name", check.name},
                                {"verdict", word_for(check.verdict)},
                                {"detail", check.detail},
                                {"fix", check.fix}});
  }
  std::puts(result.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

int run_doctor(bool json) {
  const std::vector<Check> checks = run_checks();
  const bool usable = std::none_of(checks.begin(), checks.end(), [](const Check& check) {
    return check.verdict == Verdict::kMissing;
  });
  if (json)
    print_checks_as_json(checks, usable);
  else
    print_checks(checks);
  return usable ? 0 : static_cast<int>(ErrorKind::kDevice);
}

}  // namespace

void add_doctor(CLI::App& app, int& exit_code) {
  const auto json = std::make_shared<bool>(false);
  CLI::App* verb =
      app.add_subcommand("doctor", "What this machine offers, what is missing, and how to mend it");
  verb->add_flag("--json", *json, "Machine output");
  verb->callback([json, &exit_code] { exit_code = run_doctor(*json); });
}

}  // namespace moesaic::cli
