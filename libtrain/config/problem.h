// A mistake or a doubt in a recipe, and the place it stands at.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace moesaic {

/// A place in a file, or on the command line (then line is 0). Copies share the name of the source.
struct Place {
  std::shared_ptr<const std::string> source;
  int line = 0;    // from 1
  int column = 0;  // from 1, in characters

  /// "recipe.yaml:12:5", "command line", or "default" without a source.
  std::string text() const;
};

struct Problem {
  std::string file;  // or "command line"
  int line = 0;      // 0 = the whole
  int column = 0;
  std::string key;  // dotted path, "" = the whole
  std::string message;
  bool warning = false;

  /// "recipe.yaml:12:5: train.max_steps: expected ..."
  std::string text() const;
};

/// Collects problems; a hostile recipe cannot make more than `kMost` of them.
class ProblemList {
 public:
  static constexpr std::size_t kMost = 200;

  void error(const Place& place, const std::string& key, std::string message) {
    add(place, key, std::move(message), false);
  }
  void warning(const Place& place, const std::string& key, std::string message) {
    add(place, key, std::move(message), true);
  }

  std::size_t size() const { return problems_.size(); }
  bool full() const { return problems_.size() >= kMost; }
  bool has_errors() const;
  /// Whether an error names `key` or a key under it: its value cannot be relied on.
  bool has_error(const std::string& key) const;

  /// Errors and warnings in the order of their lines.
  std::vector<Problem> sorted() const;

 private:
  void add(const Place& place, const std::string& key, std::string message, bool warning);

  std::vector<Problem> problems_;
};

/// `text`, cut to a length that a message can hold; `shown` puts it in quotes.
std::string shortened(const std::string& text);
std::string shown(const std::string& text);

/// " (did you mean 'x'?)", or "" when no candidate is near.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace moesaic
