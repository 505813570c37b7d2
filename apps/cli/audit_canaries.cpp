#include "audit_canaries.h"

#include <algorithm>
#include <numeric>

#include "config/recipe_reader.h"
#include "core/fs.h"
#include "core/random.h"

namespace moesaic::cli {
namespace {

std::string line_of(const Canaries& canaries, std::size_t index) {
  return Json{{"ids", canaries.ids[index]}, {"user", format("canary {}", index)}}.dump() + "\n";
}

}  // namespace

Canaries make_canaries(const Recipe& recipe, std::int64_t count) {
  const auto vocabulary = static_cast<std::uint64_t>(architecture_of(recipe).vocab_size);
  // Where documents are laid end to end, a sequence has its last target from the next one.
  const auto length = static_cast<std::uint64_t>(recipe.data.sequence_length +
                                                 (recipe.data.packs_end_to_end() ? 0 : 1));
  const RandomKey ids(recipe.seed, RandomStream::kSample, 0, "ids of the canaries");
  const RandomKey coins(recipe.seed, RandomStream::kSample, 0, "coins of the canaries");
  Canaries canaries;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(count); ++i) {
    auto& own = canaries.ids.emplace_back();
    for (std::uint64_t k = 0; k < length; ++k)
      own.push_back(static_cast<std::uint32_t>(ids.bits(i * length + k) % vocabulary));
    canaries.is_in.push_back((coins.bits(i) & 1U) != 0);
  }
  return canaries;
}

std::string lines_of_all(const Canaries& canaries) {
  std::string lines;
  for (std::size_t i = 0; i < canaries.size(); ++i) lines += line_of(canaries, i);
  return lines;
}

std::string lines_of_those_in(const Canaries& canaries, const DataOptions& data) {
  std::string lines;
  for (std::size_t i = 0; i < canaries.size(); ++i)
    if (canaries.is_in[i]) lines += line_of(canaries, i);
  // The last target of the last sequence.
  if (data.packs_end_to_end()) lines += Json{{"ids", {0}}}.dump() + "\n";
  return lines;
}

std::vector<double> read_nll(const std::string& path, std::size_t canaries) {
  const std::string text = read_file(path);
  std::vector<double> sums;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const Json line = parse_json(text.substr(begin, end - begin), path);
    const bool is_number = line.is_object() && line.contains("nll") && line["nll"].is_number();
    MOESAIC_CHECK(is_number, ErrorKind::kData, "{}: the loss of canary {} is no finite number",
                  path, sums.size() + 1);
    sums.push_back(line["nll"].get<double>());
    begin = end + 1;
  }
  MOESAIC_CHECK(sums.size() == canaries, ErrorKind::kData, "{} has {} lines, expected {}", path,
                sums.size(), canaries);
  return sums;
}

accounting::AuditCount guess(const Canaries& canaries, const std::vector<double>& scores) {
  std::vector<std::size_t> order(canaries.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  const std::size_t each = std::max<std::size_t>(1, canaries.size() / 10);
  accounting::AuditCount count{.canaries = std::ssize(canaries.ids),
                               .guesses = static_cast<std::int64_t>(2 * each),
                               .correct = 0};
  for (std::size_t i = 0; i < each; ++i) {
    if (!canaries.is_in[order[i]]) ++count.correct;
    if (canaries.is_in[order[order.size() - 1 - i]]) ++count.correct;
  }
  return count;
}

double membership_auc_of(const Canaries& canaries, const std::vector<double>& scores) {
  std::vector<double> members, outsiders;
  for (std::size_t i = 0; i < canaries.size(); ++i)
    (canaries.is_in[i] ? members : outsiders).push_back(scores[i]);
  return accounting::membership_auc(members, outsiders);
}

}  // namespace moesaic::cli
