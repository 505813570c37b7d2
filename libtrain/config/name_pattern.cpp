#include "config/name_pattern.h"

#include <algorithm>
#include <array>
#include <utility>

#include "config/problem.h"

namespace moesaic {
namespace {

std::regex expression(const std::string& key, const std::string& text, const std::string& whole) {
  constexpr std::size_t kLongest = 1000;  // bytes; the reader of expressions recurses
  // The other way to match goes back and forth, in exponential time for some expressions.
  constexpr auto kSyntax = std::regex::ECMAScript | std::regex_constants::__polynomial;
  if (text.size() > kLongest) throw KeyError(key, format("is longer than {} bytes", kLongest));
  try {
    return std::regex(whole, kSyntax);
  } catch (const std::regex_error& error) {
    throw KeyError(key, format("{} is not a regular expression: {}", shown(text), error.what()));
  }
}

bool ends_at_dot(const std::string& name, const std::string& end) {
  return name == end || (name.size() > end.size() && name.ends_with(end) &&
                         name[name.size() - end.size() - 1] == '.');
}

}  // namespace

KeyError::KeyError(const std::string& key, const std::string& message)
    : Error(ErrorKind::kRecipe, format("{}: {}", key, message)), key_(key), message_(message) {}

std::string module_of(const std::string& parameter) {
  return parameter.substr(0, parameter.rfind('.'));
}

std::vector<std::string> names_in_patterns(const std::string& name) {
  static constexpr std::array<std::pair<const char*, const char*>, 3> kMixtral = {
      {{".experts.w1", ".experts.gate_proj"},
       {".experts.w3", ".experts.up_proj"},
       {".experts.w2", ".experts.down_proj"}}};
  std::vector<std::string> names = {name};
  for (const auto& [own, usual] : kMixtral) {
    const std::string from(own);
    const std::size_t at = name.find(from);
    if (at == std::string::npos) continue;
    names.push_back(name);
    names.back().replace(at, from.size(), usual);
  }
  return names;
}

NamePattern::NamePattern(const std::string& key, const std::string& text)
    : text_(text),
      whole_(expression(key, text, text)),
      end_(expression(key, text, "(?:.*\\.)?(?:" + text + ")")) {}

bool NamePattern::matches(const std::string& name) const {
  const std::vector<std::string> names = names_in_patterns(name);
  return std::any_of(names.begin(), names.end(),
                     [this](const auto& one) { return std::regex_match(one, whole_); });
}

bool NamePattern::matches_end(const std::string& name) const {
  const std::vector<std::string> names = names_in_patterns(name);
  return std::any_of(names.begin(), names.end(),
                     [this](const auto& one) { return std::regex_match(one, end_); });
}

ModuleMatcher::ModuleMatcher(std::string key, const ModuleNames& names) : key_(std::move(key)) {
  if (const auto* text = std::get_if<std::string>(&names))
    patterns_.emplace_back(key_, *text);
  else
    ends_ = std::get<std::vector<std::string>>(names);
  used_.resize(ends_.size() + patterns_.size());
}

bool ModuleMatcher::matches(const std::string& module) {
  std::vector<std::string> names = names_in_patterns(module);
  if (const std::string holder = module_of(module); ends_at_dot(holder, "experts"))
    names.push_back(holder);
  const auto any = [&names](const auto& matches) {
    return std::any_of(names.begin(), names.end(), matches);
  };
  bool matched = false;
  const auto note = [&](std::size_t i, bool now) {
    if (now) matched = used_[i] = true;
  };
  for (std::size_t i = 0; i < ends_.size(); ++i)
    note(i, any([&](const std::string& name) { return ends_at_dot(name, ends_[i]); }));
  for (std::size_t i = 0; i < patterns_.size(); ++i)
    note(ends_.size() + i,
         any([&](const std::string& name) { return patterns_[i].matches(name); }));
  return matched;
}

void ModuleMatcher::require_all_used(const std::string& what) const {
  for (std::size_t i = 0; i < used_.size(); ++i) {
    if (used_[i]) continue;
    const std::string& text = i < ends_.size() ? ends_[i] : patterns_[i - ends_.size()].text();
    throw KeyError(key_, format("{} matches no {}", shown(text), what));
  }
}

}  // namespace moesaic
