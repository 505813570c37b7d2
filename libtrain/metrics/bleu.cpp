#include "metrics/bleu.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "metrics/ngrams.h"

namespace moesaic::metrics {
namespace {

constexpr std::size_t kMostBleuWords = 4;  // of an n-gram

std::string replaced_each(const std::string& text, std::string_view from, std::string_view to) {
  std::string replaced;
  std::size_t at = 0;
  for (std::size_t found = 0; (found = text.find(from, at)) != std::string::npos;) {
    replaced.append(text, at, found - at).append(to);
    at = found + from.size();
  }
  return replaced.append(text, at);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_point(char c) { return c == '.' || c == ','; }

// Signs of ASCII but ' , - . and no digits or letters.
bool is_sign_of_13a(char c) {
  return (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') || c == '/' || (c >= ':' && c <= '@') ||
         (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

std::string with_signs_apart(std::string_view text) {
  std::string apart;
  for (const char c : text) {
    if (is_sign_of_13a(c))
      apart.append({' ', c, ' '});
    else
      apart.push_back(c);
  }
  return apart;
}

// `text` with put(first, second) for each two bytes that `is` takes, none of them twice.
template <class Is, class Put>
std::string with_pairs_replaced(std::string_view text, const Is& is, const Put& put) {
  std::string replaced;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i + 1 < text.size() && is(text[i], text[i + 1])) {
      put(replaced, text[i], text[i + 1]);
      ++i;
    } else {
      replaced.push_back(text[i]);
    }
  }
  return replaced;
}

}  // namespace

std::string tokenize_13a(std::string_view text) {
  const Pieces all = words(text);
  const std::size_t size =
      all.empty() ? 0 : static_cast<std::size_t>(&all.back().back() - text.data()) + 1;
  std::string line(text.substr(0, size));  // without white space at the end
  line = replaced_each(line, "<skipped>", "");
  line = replaced_each(line, "-\n", "");
  line = replaced_each(line, "\n", " ");
  line = replaced_each(line, "&quot;", "\"");
  line = replaced_each(line, "&amp;", "&");
  line = replaced_each(line, "&lt;", "<");
  line = replaced_each(line, "&gt;", ">");
  line = with_signs_apart(" " + line + " ");
  line = with_pairs_replaced(
      line, [](char a, char b) { return !is_digit(a) && is_point(b); },
      [](std::string& to, char a, char b) {
        to.append({a, ' ', b, ' '});
      });
  line = with_pairs_replaced(
      line, [](char a, char b) { return is_point(a) && !is_digit(b); },
      [](std::string& to, char a, char b) {
        to.append({' ', a, ' ', b});
      });
  line = with_pairs_replaced(
      line, [](char a, char b) { return is_digit(a) && b == '-'; },
      [](std::string& to, char a, char b) {
        to.append({a, ' ', b, ' '});
      });
  return joined(words(line), " ");
}

void bleu_statistics(const Answer& answer, std::span<double> statistics) {
  const std::string predicted = tokenize_13a(answer.prediction);
  const Pieces tokens = words(predicted);
  std::vector<std::string> texts;
  for (const std::string& reference : answer.expected) texts.push_back(tokenize_13a(reference));
  std::vector<Pieces> references;
  for (const std::string& text : texts) references.push_back(words(text));
  const auto length = std::ssize(tokens);
  std::ptrdiff_t nearest_length = -1;
  for (const Pieces& reference : references) {
    const auto other = std::ssize(reference);
    const auto far = std::abs(other - length), least = std::abs(nearest_length - length);
    if (nearest_length < 0 || far < least || (far == least && other < nearest_length))
      nearest_length = other;
  }
  statistics[0] = static_cast<double>(length);
  statistics[1] = static_cast<double>(nearest_length);
  for (std::size_t n = 1; n <= kMostBleuWords; ++n) {
    NgramCounts most;  // of any reference
    for (const Pieces& reference : references) {
      for (const auto& [ngram, count] : count_ngrams(reference, n))
        most[ngram] = std::max(most[ngram], count);
    }
    statistics[1 + n] = static_cast<double>(common_ngrams(count_ngrams(tokens, n), most));
    statistics[1 + kMostBleuWords + n] =
        tokens.size() < n ? 0.0 : static_cast<double>(tokens.size() - n + 1);
  }
}

double bleu_of(std::span<const double> sum) {
  const auto correct = sum.subspan(2, kMostBleuWords),
             total = sum.subspan(2 + kMostBleuWords, kMostBleuWords);
  if (std::all_of(correct.begin(), correct.end(), [](double count) { return count == 0; }))
    return 0;
  double logarithms = 0, smoothing = 1;
  for (std::size_t n = 0; n < kMostBleuWords; ++n) {
    if (total[n] == 0) return 0;  // no answer is that long
    if (correct[n] == 0) smoothing *= 2;
    const double precision =
        correct[n] == 0 ? 100 / (smoothing * total[n]) : 100 * correct[n] / total[n];
    logarithms += std::log(precision);
  }
  const double brevity = sum[0] < sum[1] ? std::exp(1 - sum[1] / sum[0]) : 1;
  return brevity * std::exp(logarithms / static_cast<double>(kMostBleuWords));
}

}  // namespace moesaic::metrics
