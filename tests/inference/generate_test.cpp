// Sampler and TextStream.
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/random.h"
#include "inference/sampler.h"
#include "inference/text_stream.h"

namespace moesaic {
namespace {

at::Tensor logits_of(const std::vector<double>& probabilities) {
  std::vector<double> logits;
  for (const double p : probabilities) logits.push_back(std::log(p));
  return at::tensor(logits, at::kDouble);
}

std::vector<std::int64_t> ids_of(const std::vector<Sampler::Candidate>& all) {
  std::vector<std::int64_t> ids;
  for (const auto& c : all) ids.push_back(c.id);
  return ids;
}

TEST(Sampler, KeepsWhatTheFiltersSay) {
  using Ids = std::vector<std::int64_t>;
  const auto logits = logits_of({0.1, 0.4, 0.05, 0.3, 0.15});
  EXPECT_EQ(ids_of(Sampler({.temperature = 1}).candidates(logits)), Ids({1, 3, 4, 0, 2}));
  EXPECT_EQ(ids_of(Sampler({.temperature = 1, .top_k = 2}).candidates(logits)), Ids({1, 3}));
  EXPECT_EQ(ids_of(Sampler({.temperature = 1, .top_p = 0.69}).candidates(logits)), Ids({1, 3}));
  EXPECT_EQ(ids_of(Sampler({.temperature = 1, .top_p = 0.71}).candidates(logits)), Ids({1, 3, 4}));
  EXPECT_EQ(ids_of(Sampler({.temperature = 1, .top_p = 0}).candidates(logits)), Ids({1}));
  EXPECT_EQ(ids_of(Sampler({.temperature = 1, .min_p = 0.3}).candidates(logits)), Ids({1, 3, 4}));
  // Top-p counts what top-k left: 0.4 / 0.7 and 0.3 / 0.7.
  EXPECT_EQ(ids_of(Sampler({.temperature = 1, .top_k = 2, .top_p = 0.55}).candidates(logits)),
            Ids({1}));
  const auto flat = Sampler({.temperature = 2}).candidates(logits);
  EXPECT_NEAR(flat[0].probability / flat[1].probability, std::sqrt(0.4 / 0.3), 1e-12);
}

TEST(Sampler, DrawsWithTheProbabilitiesAndRepeats) {
  const auto logits = logits_of({0.5, 0.2, 0.3});
  const Sampler sampler({.temperature = 1, .seed = 5});
  std::map<std::int64_t, int> count;
  for (int position = 0; position < 20000; ++position) ++count[sampler.pick(logits, position)];
  EXPECT_NEAR(count[0], 10000, 300);
  EXPECT_NEAR(count[1], 4000, 250);
  EXPECT_EQ(sampler.pick(logits, 7), Sampler({.temperature = 1, .seed = 5}).pick(logits, 7));
  EXPECT_EQ(Sampler({}).pick(logits, 0), 0);
}

// Candidates are sorted as far as they are looked at.
TEST(Sampler, OrdersALargeVocabularyAndDrawsFromAllOfIt) {
  constexpr std::int64_t kVocabulary = 1000;
  std::vector<double> probabilities;
  for (std::int64_t id = 0; id < kVocabulary; ++id)
    probabilities.push_back(1e-3 * static_cast<double>(1 + id * 7 % 13));
  const auto logits = logits_of(probabilities);
  for (const Sampler::Options& options :
       {Sampler::Options{.temperature = 1}, Sampler::Options{.temperature = 1, .top_p = 0.6},
        Sampler::Options{.temperature = 1, .min_p = 0.5},
        Sampler::Options{.temperature = 1, .top_k = 300, .top_p = 0.9, .min_p = 0.2}}) {
    const Sampler sampler(options);
    const auto all = sampler.candidates(logits);
    double sum = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      sum += all[i].probability;
      if (i == 0) continue;
      EXPECT_TRUE(all[i - 1].probability > all[i].probability ||
                  (all[i - 1].probability == all[i].probability && all[i - 1].id < all[i].id));
    }
    EXPECT_NEAR(sum, 1, 1e-12);
    for (int position = 0; position < 200; ++position) {
      double rest = RandomKey(0, RandomStream::kSample).uniform(position);
      std::int64_t wanted = all.back().id;
      for (const auto& c : all) {
        rest -= c.probability;
        if (rest >= 0) continue;
        wanted = c.id;
        break;
      }
      EXPECT_EQ(sampler.pick(logits, position), wanted);
    }
  }
}

TEST(Sampler, RefusesLogitsThatAreNoNumbers) {
  const auto logits = at::tensor(std::vector<double>{NAN, NAN}, at::kDouble);
  EXPECT_THROW(Sampler({}).pick(logits, 0), Error);
  EXPECT_THROW(Sampler({.temperature = 1}).pick(logits, 0), Error);
}

TEST(TextStream, ShowsWholeCharactersAndStopsBeforeAStopString) {
  const auto tokenizer = byte_tokenizer();
  const std::string text = "gr\xC3\xBC\xC3\x9F dich, END of it";
  TextStream stream(*tokenizer, {"END", "never"});
  std::string shown;
  std::size_t used = 0;
  for (const char c : text) {
    const std::string piece = stream.add(static_cast<unsigned char>(c));
    EXPECT_FALSE(piece.ends_with('\xC3')) << "half a character";
    shown += piece;
    ++used;
    if (stream.stopped()) break;
  }
  EXPECT_EQ(shown + stream.finish(), "gr\xC3\xBC\xC3\x9F dich, ");
  EXPECT_EQ(used, text.find("END") + 3);
}

TEST(TextStream, GivesWhatWasHeldBackAtTheEnd) {
  const auto tokenizer = byte_tokenizer();
  TextStream stream(*tokenizer, {"END"});
  EXPECT_EQ(stream.add('a'), "a");
  EXPECT_EQ(stream.add('E'), "");
  EXPECT_EQ(stream.add('N'), "");
  EXPECT_EQ(stream.finish(), "EN");
}

}  // namespace
}  // namespace moesaic
