// moesaic privacy: what a private run costs, what was spent, and what an attack proves.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <memory>

#include "accounting/accountant.h"
#include "accounting/gaussian.h"
#include "accounting/ledger.h"
#include "core/error.h"
#include "core/json_text.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

using namespace accounting;

struct PrivacyArguments {
  std::optional<double> noise_multiplier;
  std::optional<double> sampling_rate;
  std::optional<std::int64_t> steps;
  std::vector<std::string> events;  // "S,Q,T"
  std::optional<double> delta;
  std::optional<double> epsilon;
  std::string accountant = "pld";
  std::string ledger;
  bool json = false;
};

double number_of(const std::string& text, const std::string& where) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, value);
  MOESAIC_CHECK(error == std::errc() && read == end, ErrorKind::kUsage, "{}: '{}' is no number",
                where, text);
  return value;
}

Event event_of(const std::string& text) {
  const std::string where = format("--event {}", text);
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  MOESAIC_CHECK(parts.size() == 3, ErrorKind::kUsage,
                "{}: noise multiplier, sampling rate and steps are needed, with commas", where);
  const double steps = number_of(parts[2], where);
  MOESAIC_CHECK(steps == std::floor(steps) && std::abs(steps) < 1e15, ErrorKind::kUsage,
                "{}: the number of steps must be whole, got {}", where, parts[2]);
  const Event event{number_of(parts[0], where), number_of(parts[1], where),
                    static_cast<std::int64_t>(steps), 0};
  check_event(event, where, ErrorKind::kUsage);
  return event;
}

template <class Number>
Number needed(const std::optional<Number>& value, const char* option, const char* otherwise) {
  if (value) return *value;
  throw Error(ErrorKind::kUsage, format("{} is missing", option), otherwise);
}

Event single_event(const PrivacyArguments& a, double noise_multiplier) {
  const char* hint = "see `moesaic privacy epsilon -h`";
  const Event event{noise_multiplier, needed(a.sampling_rate, "--sampling-rate", hint),
                    needed(a.steps, "--steps", hint), 0};
  check_event(event, "moesaic privacy", ErrorKind::kUsage);
  return event;
}

Events events_of(const PrivacyArguments& a) {
  if (a.events.empty()) {
    return {single_event(a, needed(a.noise_multiplier, "--noise-multiplier",
                                   "or give --event S,Q,T, once or more often"))};
  }
  MOESAIC_CHECK(!a.noise_multiplier && !a.sampling_rate && !a.steps, ErrorKind::kUsage,
                "--event takes the place of --noise-multiplier, --sampling-rate and --steps");
  Events events;
  for (const std::string& text : a.events) add_event(events, event_of(text));
  return events;
}

double delta_in(const PrivacyArguments& a) {
  const double delta =
      needed(a.delta, "--delta", "about one in as many as there are units, or less");
  MOESAIC_CHECK(delta > 0 && delta < 1, ErrorKind::kUsage,
                "--delta must be above 0 and below 1, got {}", delta);
  return delta;
}

double epsilon_in(const PrivacyArguments& a, bool zero) {
  const double epsilon = needed(a.epsilon, "--epsilon", "for example 8, 3 or 1");
  MOESAIC_CHECK(std::isfinite(epsilon) && (epsilon > 0 || (zero && epsilon == 0)),
                ErrorKind::kUsage, "--epsilon must be {} 0, got {}", zero ? "at least" : "above",
                epsilon);
  return epsilon;
}

// Infinite numbers are null in JSON.
Json number_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

struct Answer {
  Bound epsilon;
  double delta;
  std::optional<double> noise_multiplier;
  Bound order_of;  // the bound that was computed
};

void print_answer(const PrivacyArguments& a, const Answer& answer, const Events& events) {
  const Bound& bound = answer.order_of;
  if (bound.at_edge) {
    std::fputs(format("warning: the best order, {}, is the first or the last one: pld may give a "
                      "much better bound\n",
                      *bound.order)
                   .c_str(),
               stderr);
  }
  if (a.json) {
    Json json = {{"epsilon", number_json(answer.epsilon.value)},
                 {"delta", number_json(answer.delta)},
                 {"noise_multiplier", nullptr},
                 {"accountant", a.accountant},
                 {"order", nullptr}};
    if (answer.noise_multiplier) json["noise_multiplier"] = *answer.noise_multiplier;
    if (bound.order) json["order"] = *bound.order;
    std::puts(json_text(json, 2).c_str());
    return;
  }
  std::string text = format("epsilon           {:.6g}\ndelta             {:.6g}\n",
                            answer.epsilon.value, answer.delta);
  if (answer.noise_multiplier)
    text += format("noise multiplier  {:.6g}\n", *answer.noise_multiplier);
  text += format("accountant        {}{}\n", a.accountant,
                 bound.order ? format(", order {}", *bound.order) : "");
  const double mu = approximate_mu(events);
  if (std::isfinite(mu) && mu > 0) {
    text += format("approximation     epsilon {:.3g} by Gaussian privacy (mu {:.3g}): no bound\n",
                   gaussian_epsilon(mu, answer.delta), mu);
  }
  std::fputs(text.c_str(), stdout);
}

std::optional<double> common_noise(const Events& events) {
  const double first = events.front().noise_multiplier;
  const bool same = std::all_of(events.begin(), events.end(), [first](const Event& event) {
    return event.noise_multiplier == first;
  });
  return same ? std::optional(first) : std::nullopt;
}

void run_epsilon(const PrivacyArguments& a) {
  const Events events = events_of(a);
  const double delta = delta_in(a);
  const Bound bound = epsilon_of(events, delta, accountant_of(a.accountant));
  print_answer(a, {bound, delta, common_noise(events), bound}, events);
}

void run_delta(const PrivacyArguments& a) {
  const Events events = events_of(a);
  const double epsilon = epsilon_in(a, true);
  const Bound bound = delta_of(events, epsilon, accountant_of(a.accountant));
  print_answer(a, {{epsilon}, bound.value, common_noise(events), bound}, events);
}

void run_noise(const PrivacyArguments& a) {
  Event event = single_event(a, 1);
  const Accountant accountant = accountant_of(a.accountant);
  const double delta = delta_in(a);
  event.noise_multiplier = noise_multiplier_for(event, epsilon_in(a, false), delta, accountant);
  const Bound bound = epsilon_of({event}, delta, accountant);
  print_answer(a, {bound, delta, event.noise_multiplier, bound}, {event});
}

Json ledger_json(const LedgerReport& report, std::optional<double> delta, double epsilon) {
  Json json = {{"unit", nullptr}, {"data", nullptr}, {"budget", nullptr}};
  if (report.terms) {
    json["unit"] = report.terms->unit;
    json["data"] = report.terms->data;
    if (report.terms->budget)
      json["budget"] = {{"epsilon", report.terms->budget->epsilon},
                        {"delta", report.terms->budget->delta}};
  }
  json["epsilon"] = delta ? number_json(epsilon) : Json(nullptr);
  json["delta"] = delta ? Json(*delta) : Json(nullptr);
  json["steps"] = total_steps(report.events);
  json["whole"] = report.is_whole();
  return json;
}

int run_ledger(const PrivacyArguments& a) {
  const LedgerReport report = read_ledger(a.ledger);
  std::optional<double> delta;
  if (a.delta)
    delta = delta_in(a);
  else if (report.terms && report.terms->budget)
    delta = report.terms->budget->delta;
  const Accountant accountant = accountant_of(a.accountant);
  const double epsilon = delta ? epsilon_of(report.events, *delta, accountant).value : 0;
  const Json json = ledger_json(report, delta, epsilon);
  if (a.json) {
    std::puts(json_text(json, 2).c_str());
  } else {
    for (const auto& [name, value] : json.items()) {
      const std::string text =
          value.is_string() ? printable(value.get<std::string>()) : json_text(value);
      std::puts(format("{:8} {}", name, text).c_str());
    }
  }
  if (report.is_whole()) return 0;
  throw Error(ErrorKind::kCheckpoint, format("the ledger is not whole: {}", report.problem));
}

void add_cost_options(CLI::App& verb, PrivacyArguments& a, bool noise_is_given) {
  verb.add_option("--sampling-rate", a.sampling_rate, "Probability of each unit in each step");
  verb.add_option("--steps", a.steps, "Number of steps");
  verb.add_option("--accountant", a.accountant,
                  "pld (numerical, the tighter one) or rdp (default: pld)");
  verb.add_flag("--json", a.json, "Machine output");
  if (!noise_is_given) return;
  verb.add_option("--noise-multiplier", a.noise_multiplier,
                  "Standard deviation of the noise / norm that units are clipped to");
  verb.add_option("--event", a.events, "S,Q,T: the three at once; may be repeated")
      ->type_size(1)
      ->allow_extra_args(false);
}

}  // namespace

void add_privacy(CLI::App& app, int& exit_code) {
  const auto a = std::make_shared<PrivacyArguments>();
  CLI::App* verb = app.add_subcommand("privacy", "What a private run costs, what was spent, and an audit");
  verb->require_subcommand(1);
  CLI::App* epsilon = verb->add_subcommand("epsilon", "The epsilon of steps at a delta");
  add_cost_options(*epsilon, *a, true);
  epsilon->add_option("--delta", a->delta, "Above 0, below 1");
  epsilon->callback([a, &exit_code] { run_epsilon(*a), exit_code = 0; });
  CLI::App* delta = verb->add_subcommand("delta", "The delta of steps at an epsilon");
  add_cost_options(*delta, *a, true);
  delta->add_option("--epsilon", a->epsilon, "At least 0");
  delta->callback([a, &exit_code] { run_delta(*a), exit_code = 0; });
  CLI::App* noise = verb->add_subcommand("noise", "The least noise for an epsilon at a delta");
  add_cost_options(*noise, *a, false);
  noise->add_option("--epsilon", a->epsilon, "Above 0");
  noise->add_option("--delta", a->delta, "Above 0, below 1");
  noise->callback([a, &exit_code] { run_noise(*a), exit_code = 0; });
  CLI::App* ledger = verb->add_subcommand("ledger", "What a ledger says; 7 when it is not whole");
  ledger->add_option("PATH", a->ledger, "The ledger of the runs over one data set")->required();
  ledger->add_option("--delta", a->delta, "Of the epsilon (default: the budget's)");
  ledger->add_option("--accountant", a->accountant, "pld or rdp (default: pld)");
  ledger->add_flag("--json", a->json, "Machine output");
  ledger->callback([a, &exit_code] { exit_code = run_ledger(*a); });
  add_privacy_audit(*verb, exit_code);
}

}  // namespace moesaic::cli
