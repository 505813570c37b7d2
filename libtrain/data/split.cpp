#include "data/split.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>

#include "core/digest.h"
#include "core/error.h"
#include "core/file_glob.h"
#include "core/fs.h"
#include "core/json_text.h"
#include "core/path.h"
#include "core/random.h"
#include "data/input_file.h"

namespace moesaic {
namespace {

constexpr std::size_t kMostLineBytes = std::size_t{64} << 20;
constexpr std::size_t kMostValues = 1'000'000;

/// Logarithm of a draw of Gamma(alpha) by Marsaglia and Tsang (2000); that of a small alpha can be
/// too small for a double itself. `k` numbers the draws of a key.
double log_gamma_draw(double alpha, const RandomKey& key, std::uint64_t k) {
  const double d = alpha + 1 - 1.0 / 3, c = 1 / std::sqrt(9 * d);  // of Gamma(alpha + 1)
  for (std::uint64_t element = 64 * k;; ++element) {
    const double x = key.normal(2 * element), v = std::pow(1 + c * x, 3);
    const double u = 1 - key.uniform(2 * element + 1);  // above 0
    if (v <= 0 || std::log(u) >= 0.5 * x * x + d - d * v + d * std::log(v)) continue;
    return std::log(d * v) + std::log(1 - key.uniform(128 * k + 127)) / alpha;
  }
}

/// Shares of the parts: a draw of the symmetric Dirichlet distribution.
std::vector<double> dirichlet_shares(const SplitOptions& options, const std::string& name,
                                     std::uint64_t draw) {
  const RandomKey key(options.seed, RandomStream::kSample, draw, "split/shares/" + name);
  std::vector<double> shares;
  for (std::int64_t part = 0; part < options.parts; ++part)
    shares.push_back(log_gamma_draw(options.alpha, key, static_cast<std::uint64_t>(part)));
  const double largest = *std::max_element(shares.begin(), shares.end());
  for (double& share : shares) share = std::exp(share - largest);
  const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& share : shares) share /= total;
  return shares;
}

/// The ends of the parts among so many lines, at their shares.
std::vector<std::size_t> ends_of_parts(const SplitOptions& options, std::size_t lines,
                                       const std::string& name, std::uint64_t draw) {
  std::vector<std::size_t> ends;
  double upto = 0;
  for (const double share : dirichlet_shares(options, name, draw)) {
    upto += share;
    const double end = std::round(upto * static_cast<double>(lines));
    ends.push_back(std::min(lines, static_cast<std::size_t>(end)));
  }
  ends.back() = lines;
  return ends;
}

/// Shares are drawn again, as in NIID-Bench, until each part has a line; the number of that draw.
std::uint64_t filling_draw(const SplitOptions& options,
                           const std::vector<std::vector<std::size_t>>& lines_of) {
  constexpr std::uint64_t kMostDraws = 1000;
  const auto count = static_cast<std::size_t>(options.parts);
  for (std::uint64_t draw = 0; draw < kMostDraws; ++draw) {
    std::vector<bool> filled(count, false);
    for (std::size_t value = 0; value < lines_of.size(); ++value) {
      const std::vector<std::size_t> ends =
          ends_of_parts(options, lines_of[value].size(), std::to_string(value), draw);
      for (std::size_t part = 0; part < count; ++part)
        if (ends[part] > (part == 0 ? 0 : ends[part - 1])) filled[part] = true;
    }
    if (std::all_of(filled.begin(), filled.end(), [](bool full) { return full; })) return draw;
  }
  return 0;
}

/// Cuts the lines, in a seeded order, at the shares.
void deal_out(const SplitOptions& options, const std::vector<std::size_t>& lines,
              const std::string& name, std::uint64_t draw, std::vector<std::uint32_t>& parts) {
  const RandomKey order(options.seed, RandomStream::kShuffle, 0, "split/order/" + name);
  const std::vector<std::size_t> ends = ends_of_parts(options, lines.size(), name, draw);
  std::size_t next = 0;
  for (std::size_t part = 0; part < ends.size(); ++part) {
    for (; next < ends[part]; ++next)
      parts[lines[permuted(next, lines.size(), order)]] = static_cast<std::uint32_t>(part);
  }
}

/// The part of each value: the largest first, each to the part with the fewest lines.
std::vector<std::uint32_t> whole_values(const SplitOptions& options,
                                        const std::vector<std::size_t>& counts) {
  std::vector<std::size_t> order(counts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return counts[a] > counts[b]; });
  std::vector<std::size_t> lines(static_cast<std::size_t>(options.parts), 0);
  std::vector<std::uint32_t> part_of(counts.size());
  for (const std::size_t value : order) {
    const auto lightest = std::min_element(lines.begin(), lines.end());
    part_of[value] = static_cast<std::uint32_t>(lightest - lines.begin());
    *lightest += counts[value];
  }
  return part_of;
}

void require_filled(const SplitOptions& options, const std::vector<std::uint32_t>& parts) {
  std::vector<std::size_t> lines(static_cast<std::size_t>(options.parts), 0);
  for (const std::uint32_t part : parts) ++lines[part];
  const auto empty = std::find(lines.begin(), lines.end(), std::size_t{0});
  if (empty == lines.end()) return;
  const bool drawn = options.by == "quantity" || options.by == "dirichlet";
  throw Error(ErrorKind::kData,
              format("part {} of {} would have no line of the {}", empty - lines.begin(),
                     options.parts, parts.size()),
              drawn ? "another --seed, a larger --alpha or fewer --parts"
                    : "fewer --parts: there are not so many values");
}

std::string part_name(std::int64_t part) { return format("part-{}.jsonl", part); }

/// Nothing is replaced: a part may be a file of the source.
void require_free(const SplitOptions& options) {
  std::vector<std::string> names = {"split.json"};
  for (std::int64_t part = 0; part < options.parts; ++part) names.push_back(part_name(part));
  for (const std::string& name : names) {
    const std::string path = options.output + "/" + name;
    if (entry_exists(path))
      throw Error(ErrorKind::kUsage, format("{} is there already", path),
                  "give another --output, or remove it");
  }
}

/// The lines of the source, and what the field of each says.
class SplitSource {
 public:
  SplitSource(const SplitOptions& options, const Log& log)
      : options_(options), files_(expand_files(options.source, log)) {}

  const std::vector<std::string>& files() const { return files_; }
  const std::vector<std::uint32_t>& labels() const { return labels_; }
  const std::vector<std::string>& values() const { return values_; }

  template <class Take>
  void each_line(Take take) const {
    std::string line;
    for (const std::string& path : files_) {
      InputFile file(path);
      while (file.next_filled_line(line, kMostLineBytes)) take(line, file);
    }
  }

  void read_labels() {
    std::map<std::string, std::uint32_t> numbers;
    each_line([&](const std::string& line, const InputFile& file) {
      const std::string value = value_of(line, file.where());
      const auto [at, is_new] = numbers.emplace(value, std::uint32_t(values_.size()));
      if (is_new) values_.push_back(value);
      MOESAIC_CHECK(values_.size() <= kMostValues, ErrorKind::kData,
                    "{}: \"{}\" has over {} values", file.where(), options_.field, kMostValues);
      labels_.push_back(at->second);
    });
    MOESAIC_CHECK(!labels_.empty(), ErrorKind::kData, "{} has no lines", options_.source);
  }

 private:
  /// "" where the field does not matter.
  std::string value_of(const std::string& line, const std::string& where) const {
    const Json json = parse_json(line, where, ErrorKind::kData, {.token = kMostLineBytes});
    MOESAIC_CHECK(json.is_object(), ErrorKind::kData, "{}: a line must be a JSON object", where);
    if (options_.by == "quantity") return "";
    const auto found = json.find(options_.field);
    MOESAIC_CHECK(found != json.end(), ErrorKind::kData, "{}: key \"{}\" is missing", where,
                  options_.field);
    if (found->is_string()) return found->get<std::string>();
    MOESAIC_CHECK(found->is_number_integer() || found->is_boolean(), ErrorKind::kData,
                  "{}: \"{}\" must be a text, a whole number, true or false", where,
                  options_.field);
    return found->dump();
  }

  const SplitOptions& options_;
  std::vector<std::string> files_;
  std::vector<std::uint32_t> labels_;
  std::vector<std::string> values_;
};

/// One part while it is written.
struct SplitPart {
  std::string name;
  std::unique_ptr<NewFile> file;
  std::string waiting = {};  // not yet written
  Digest digest = {};
  std::uint64_t lines = 0, bytes = 0;
  std::map<std::uint32_t, std::uint64_t> labels = {};

  void add(const std::string& line, std::uint32_t label) {
    constexpr std::size_t kBytes = std::size_t{1} << 16;
    waiting += line;
    waiting += '\n';
    ++lines;
    ++labels[label];
    if (waiting.size() >= kBytes) flush();
  }
  void flush() {
    file->write(waiting);
    digest.update(waiting);
    bytes += waiting.size();
    waiting.clear();
  }
};

std::vector<SplitPart> write_parts(const SplitOptions& options, const SplitSource& source,
                                   const std::vector<std::uint32_t>& parts) {
  std::vector<SplitPart> written;
  for (std::int64_t i = 0; i < options.parts; ++i) {
    const std::string name = part_name(i);
    written.push_back({name, std::make_unique<NewFile>(options.output + "/" + name)});
  }
  std::size_t line_number = 0;
  source.each_line([&](const std::string& line, const InputFile& file) {
    MOESAIC_CHECK(line_number < parts.size(), ErrorKind::kData, "{} grew while it was read",
                  file.path());
    written[parts[line_number]].add(line, source.labels()[line_number]);
    ++line_number;
  });
  MOESAIC_CHECK(line_number == parts.size(), ErrorKind::kData, "{} shrank while it was read",
                options.source);
  for (SplitPart& part : written) {
    part.flush();
    part.file->finish();
  }
  return written;
}

Json split_manifest(const SplitOptions& options, const SplitSource& source,
                    const std::vector<SplitPart>& parts) {
  Json manifest = {{"by", options.by}, {"seed", options.seed}, {"lines", source.labels().size()}};
  if (options.by != "quantity") manifest["field"] = options.field;
  if (options.by == "quantity" || options.by == "dirichlet") manifest["alpha"] = options.alpha;
  for (const std::string& path : source.files())
    manifest["source"].push_back({{"path", path}, {"digest", digest_of_file(path)}});
  for (const SplitPart& part : parts) {
    Json entry = {{"file", part.name},
                  {"lines", part.lines},
                  {"bytes", part.bytes},
                  {"digest", part.digest.hex()}};
    if (options.by != "quantity") entry["values"] = Json::object();
    for (const auto& [label, lines] : part.labels) {
      if (options.by != "quantity") entry["values"][source.values()[label]] = lines;
    }
    manifest["parts"].push_back(entry);
  }
  return manifest;
}

}  // namespace

std::vector<std::uint32_t> parts_of_lines(const SplitOptions& options,
                                          const std::vector<std::uint32_t>& labels,
                                          std::size_t values) {
  std::vector<std::vector<std::size_t>> lines_of(values);
  for (std::size_t line = 0; line < labels.size(); ++line) lines_of[labels[line]].push_back(line);
  std::vector<std::uint32_t> parts(labels.size(), 0);
  if (options.by == "quantity" || options.by == "dirichlet") {
    const bool enough = std::ssize(labels) >= options.parts;
    const std::uint64_t draw = enough ? filling_draw(options, lines_of) : 0;
    for (std::size_t value = 0; value < values; ++value)
      deal_out(options, lines_of[value], std::to_string(value), draw, parts);
  } else {
    std::vector<std::size_t> counts;
    for (const auto& lines : lines_of) counts.push_back(lines.size());
    const std::vector<std::uint32_t> part_of = whole_values(options, counts);
    for (std::size_t line = 0; line < labels.size(); ++line) parts[line] = part_of[labels[line]];
  }
  require_filled(options, parts);
  return parts;
}

Json split_corpus(const SplitOptions& options, const Log& log) {
  require_free(options);
  SplitSource source(options, log);
  source.read_labels();
  const std::vector<std::uint32_t> parts =
      parts_of_lines(options, source.labels(), source.values().size());
  make_folder(options.output);
  const Json manifest = split_manifest(options, source, write_parts(options, source, parts));
  write_file_atomic(options.output + "/split.json", json_text(manifest, 2) + "\n");
  return manifest;
}

std::string readable_split(const Json& split) {
  std::string text;
  for (const Json& part : split.at("parts")) {
    const std::size_t values = part.contains("values") ? part.at("values").size() : 0;
    text += format("{}: {} lines", part.at("file").get<std::string>(),
                   part.at("lines").get<std::uint64_t>());
    text += values > 0 ? format(", {} values\n", values) : "\n";
  }
  return text;
}

}  // namespace moesaic
