// Units of privacy, how they are drawn, and what a step has of them.
#include "data/unit_stream.h"

#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "core/error.h"
#include "data/sequence_units.h"
#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::counting;
using testing::expect_error;
using testing::TemporaryFolder;
using testing::tokens_of;
using testing::values;
using testing::write_tokens;
using Ids = std::vector<std::int64_t>;

const SecretKey& key() {
  static const SecretKey one = SecretKey::from_seed(7);
  return one;
}

Sequences of_documents(const std::shared_ptr<const TokenFile>& tokens, std::int64_t length = 8) {
  return Sequences::per_document(tokens, length, {TooLong::kChunk});
}

std::shared_ptr<const TokenFile> with_owners(const TemporaryFolder& folder,
                                             const testing::Documents& documents,
                                             const testing::Owners& owners,
                                             const std::string& name) {
  const std::string path = folder.path() + "/" + name + ".tokens";
  write_tokens(path, documents, 2, {}, owners);
  return TokenFile::open(path, name);
}

/// The sequences of a unit as (source, index) pairs.
std::vector<std::pair<std::size_t, std::int64_t>> places(const UnitList& units, std::int64_t unit) {
  std::vector<std::pair<std::size_t, std::int64_t>> list;
  for (const SequencePlace& place : units.sequences(unit))
    list.emplace_back(place.source, place.index);
  return list;
}
using UnitPlaces = std::vector<std::pair<std::size_t, std::int64_t>>;

TEST(UnitDraws, EachUnitComesAsOftenAsTheRateSaysAndWithoutTheOthers) {
  constexpr std::int64_t kUnits = 40, kSteps = 4000;
  constexpr double kRate = 0.1;
  const UnitDraws draws({.units = kUnits, .rate = kRate, .slots = kUnits}, key());
  std::vector<double> count(kUnits);
  double both = 0, again = 0;  // units 3 and 4 together; unit 3 in two steps in a row
  bool before = false;
  for (std::int64_t step = 0; step < kSteps; ++step) {
    const auto drawn = draws.of_step(step);
    const std::set<std::int64_t> in(drawn.begin(), drawn.end());
    EXPECT_EQ(in.size(), drawn.size());
    for (const std::int64_t unit : drawn) ++count[static_cast<std::size_t>(unit)];
    if (in.contains(3) && in.contains(4)) ++both;
    if (in.contains(3) && before) ++again;
    before = in.contains(3);
  }
  const double mean = kSteps * kRate, deviation = std::sqrt(mean * (1 - kRate));
  double chi_square = 0;
  for (const double c : count) {
    EXPECT_NEAR(c, mean, 5 * deviation);
    chi_square += (c - mean) * (c - mean) / (deviation * deviation);
  }
  EXPECT_NEAR(chi_square, kUnits, 5 * std::sqrt(2.0 * kUnits));
  const double pairs = kSteps * kRate * kRate;
  EXPECT_NEAR(both, pairs, 5 * std::sqrt(pairs));
  EXPECT_NEAR(again, pairs, 5 * std::sqrt(pairs));
}

TEST(UnitDraws, StepsAreByRandomAccessAndKeysAreOthers) {
  UnitDraws draws({.units = 5000, .rate = 0.3, .slots = 5000}, key());
  const auto third = draws.of_step(3);
  EXPECT_NE(draws.of_step(2), third);
  EXPECT_EQ(draws.of_step(3), third);
  draws.renew(SecretKey::from_seed(8));
  EXPECT_NE(draws.of_step(3), third);
  draws.renew(key());
  EXPECT_EQ(draws.of_step(3), third);
}

TEST(UnitDraws, ARateOfOneTakesAllAndSlotsAreTheMost) {
  EXPECT_EQ(UnitDraws({.units = 4, .rate = 1, .slots = 4}, key()).of_step(9), (Ids{0, 1, 2, 3}));
  EXPECT_EQ(UnitDraws({.units = 4, .rate = 1, .slots = 3}, key()).of_step(9).size(), 3U);
}

/// Those of units that come in turn: 1000, 1001 ...
std::vector<std::uint64_t> names(std::uint64_t count) {
  std::vector<std::uint64_t> list;
  for (std::uint64_t i = 0; i < count; ++i) list.push_back(1000 + i);
  return list;
}

TEST(UnitDraws, UnitsInTurnComeBackAfterAsManySteps) {
  const UnitDraws draws({.units = 100, .turns = 5, .seed = 3, .names = names(100), .slots = 100},
                        key());
  std::map<std::int64_t, std::int64_t> turn;
  for (std::int64_t step = 0; step < 15; ++step) {
    for (const std::int64_t unit : draws.of_step(step)) {
      const auto [known, is_new] = turn.emplace(unit, step);
      EXPECT_EQ((step - known->second) % 5, 0);
    }
  }
  EXPECT_EQ(turn.size(), 100U);
  // A unit less moves no other, and the key is nothing to turns: a run that is resumed keeps them.
  std::vector<std::uint64_t> fewer = names(100);
  fewer.erase(fewer.begin() + 40);
  const UnitDraws less({.units = 99, .turns = 5, .seed = 3, .names = fewer, .slots = 99},
                       SecretKey::from_seed(1));
  for (std::int64_t step = 0; step < 5; ++step) {
    auto expected = draws.of_step(step);
    std::erase(expected, 40);
    for (std::int64_t& unit : expected) unit -= unit > 40 ? 1 : 0;
    EXPECT_EQ(less.of_step(step), expected);
  }
}

TEST(UnitDraws, TheLastUnitsMayHaveARateOfTheirOwn) {
  constexpr std::int64_t kUnits = 50, kOthers = 20, kSteps = 2000;
  const UnitDraws draws(
      {.units = kUnits, .rate = 0.1, .slots = kUnits, .others = {.units = kOthers, .rate = 0.4}},
      key());
  const UnitDraws alike({.units = kUnits, .rate = 0.1, .slots = kUnits}, key());
  std::vector<double> count(kUnits);
  for (std::int64_t step = 0; step < kSteps; ++step) {
    auto drawn = draws.of_step(step), others = alike.of_step(step);
    for (const std::int64_t unit : drawn) ++count[static_cast<std::size_t>(unit)];
    const auto is_other = [](std::int64_t unit) { return unit >= kUnits - kOthers; };
    std::erase_if(drawn, is_other);
    std::erase_if(others, is_other);
    ASSERT_EQ(drawn, others);  // they are nothing to the first ones
  }
  for (std::size_t unit = 0; unit < count.size(); ++unit) {
    const double rate = unit < kUnits - kOthers ? 0.1 : 0.4, mean = kSteps * rate;
    EXPECT_NEAR(count[unit], mean, 5 * std::sqrt(mean * (1 - rate))) << unit;
  }
  EXPECT_EQ(draws.options().largest_rate(), 0.4);
  EXPECT_NEAR(draws.options().mean_rate(), (30 * 0.1 + 20 * 0.4) / 50, 1e-15);
  EXPECT_EQ(alike.options().largest_rate(), 0.1);
  EXPECT_EQ(alike.options().mean_rate(), 0.1);
}

TEST(UnitDraws, TheLastUnitsMayHaveTurnsOfTheirOwn) {
  const UnitDraws draws({.units = 90,
                         .turns = 3,
                         .seed = 3,
                         .names = names(90),
                         .slots = 90,
                         .others = {.units = 30, .turns = 5}},
                        key());
  std::map<std::int64_t, std::vector<std::int64_t>> steps_of;
  for (std::int64_t step = 0; step < 15; ++step)
    for (const std::int64_t unit : draws.of_step(step)) steps_of[unit].push_back(step);
  ASSERT_EQ(steps_of.size(), 90U);
  for (const auto& [unit, steps] : steps_of) {
    const std::int64_t turns = unit < 60 ? 3 : 5;
    EXPECT_EQ(std::ssize(steps), 15 / turns) << unit;
    for (std::size_t i = 1; i < steps.size(); ++i) EXPECT_EQ(steps[i] - steps[i - 1], turns);
  }
  EXPECT_EQ(draws.options().least_turns(), 3);
}

TEST(UnitList, SequencesAndDocumentsCountThroughTheSources) {
  const TemporaryFolder folder;
  // The second document is cut into chunks of 2 inputs.
  const std::vector<Sequences> sources = {
      of_documents(tokens_of(folder, {{1, 2}, counting(6, 10), {3, 4}}, "a"), 2),
      of_documents(tokens_of(folder, {{7, 8, 9}}, "b"), 2)};
  const UnitList sequences("sequence", sources);
  ASSERT_EQ(sequences.size(), sources[0].size() + sources[1].size());
  EXPECT_EQ(places(sequences, 0), (UnitPlaces{{0, 0}}));
  const UnitList documents("document", sources);
  ASSERT_EQ(documents.size(), 4);
  EXPECT_EQ(places(documents, 0), (UnitPlaces{{0, 0}}));
  EXPECT_EQ(places(documents, 1), (UnitPlaces{{0, 1}, {0, 2}, {0, 3}}));
  EXPECT_EQ(places(documents, 2), (UnitPlaces{{0, 4}}));
  EXPECT_EQ(places(documents, 3), (UnitPlaces{{1, 0}}));
}

TEST(UnitList, AUserHasOneNameInAllSources) {
  const TemporaryFolder folder;
  const std::vector<Sequences> sources = {
      of_documents(with_owners(folder, {{1, 2}, {3, 4}, {5, 6}}, {"zoe", "ann", "zoe"}, "a")),
      of_documents(with_owners(folder, {{7, 8}, {9}, {1, 3}}, {"bob", "eve", "ann"}, "b"))};
  const UnitList users("user", sources);
  ASSERT_EQ(users.size(), 3);  // eve's document has no sequence
  EXPECT_EQ(places(users, 0), (UnitPlaces{{0, 0}, {0, 2}}));
  EXPECT_EQ(places(users, 1), (UnitPlaces{{0, 1}, {1, 1}}));
  EXPECT_EQ(places(users, 2), (UnitPlaces{{1, 0}}));
  const std::vector<Sequences> nobodys = {of_documents(tokens_of(folder, {{1, 2}}, "plain"))};
  expect_error(ErrorKind::kData, "plain: its documents have no users",
               [&] { UnitList("user", nobodys); });
}

TEST(UnitList, AUnitsFingerprintIsMadeOfItsTokensAlone) {
  const TemporaryFolder folder;
  const std::vector<Sequences> all = {
      of_documents(tokens_of(folder, {{1, 2}, counting(6, 10), {3, 4}, {1, 2}}, "a"), 2)};
  const std::vector<Sequences> fewer = {of_documents(tokens_of(folder, {{3, 4}, {1, 2}}, "b"), 2)};
  const UnitList many("document", all), few("document", fewer);
  EXPECT_EQ(many.fingerprint(2, all), few.fingerprint(0, fewer));
  EXPECT_EQ(many.fingerprint(0, all), many.fingerprint(3, all));
  EXPECT_NE(many.fingerprint(0, all), many.fingerprint(2, all));
  const auto of_many = many.distinct_fingerprints(all), of_few = few.distinct_fingerprints(fewer);
  EXPECT_EQ(std::set<std::uint64_t>(of_many.begin(), of_many.end()).size(), 4U);
  EXPECT_EQ(of_many[2], of_few[0]);
  EXPECT_EQ(of_many[0], of_few[1]);  // the first of its kind in both
}

// What is old data alone has the last numbers; a user who is in both is new.
TEST(SequenceUnits, AreCountedByTheirFirstSource) {
  const TemporaryFolder folder;
  std::vector<Sequences> sources = {
      of_documents(with_owners(folder, {{1, 2}, {3, 4}}, {"zoe", "ann"}, "new")),
      of_documents(with_owners(folder, {{7, 8}, {1, 3}, {5, 6}}, {"bob", "ann", "eve"}, "old"))};
  UnitList users("user", sources);
  const SequenceUnits units(std::move(sources), std::move(users));
  EXPECT_EQ(units.size(), 4);
  EXPECT_EQ(units.in_first(1), 2);
  EXPECT_EQ(units.in_first(2), 4);
  EXPECT_EQ(units.sequences(1), 2);
  EXPECT_EQ(units.where(2), "sequence 1 of old");
  const std::vector<Units::Drawn> drawn = {{.unit = 1, .example = 0}, {.unit = 3, .example = 1}};
  const Batch batch = units.batch(drawn);
  EXPECT_EQ(values(batch.ids_T), (Ids{3, 1, 5}));
  EXPECT_EQ(values(batch.example_id_T), (Ids{0, 0, 1}));
}

/// 60 documents of 2 to 5 ids, two for each user.
UnitStream stream_of(const TemporaryFolder& folder, const UnitStream::Options& options,
                     double rate = 0.4) {
  testing::Documents documents;
  testing::Owners owners;
  for (std::uint32_t i = 0; i < 60; ++i) {
    documents.push_back(counting(2 + i % 4, 10 * i));
    owners.push_back("user " + std::to_string(i / 2));
  }
  std::vector<Sequences> sources = {of_documents(with_owners(folder, documents, owners, "s"))};
  UnitList units(options.unit, sources);
  const UnitDraws draws({.units = units.size(), .rate = rate, .slots = units.size()}, key());
  return UnitStream(std::make_unique<SequenceUnits>(std::move(sources), std::move(units)), draws,
                    options);
}

struct StepContent {
  Ids ids, examples;
  std::int64_t micro_batches = 0;
};

StepContent content(const UnitStream& stream, std::int64_t step) {
  StepContent all;
  all.micro_batches = stream.size(step).micro_batches;
  std::int64_t last = -1;
  for (std::int64_t i = 0; i < all.micro_batches; ++i) {
    const Batch batch = stream.micro_batch(step, i);
    const Ids examples = values(batch.example_id_T);
    EXPECT_GT(examples.front(), last);  // whole in one micro-batch
    last = examples.back();
    const Ids ids = values(batch.ids_T);
    all.ids.insert(all.ids.end(), ids.begin(), ids.end());
    all.examples.insert(all.examples.end(), examples.begin(), examples.end());
  }
  return all;
}

TEST(UnitStream, HowMicroBatchesAreCutChangesNoStep) {
  const TemporaryFolder folder;
  const UnitStream small = stream_of(folder, {.micro_batch_size = 2, .unit = "user"});
  const UnitStream large = stream_of(folder, {.micro_batch_size = 7, .unit = "user"});
  for (const std::int64_t step : {4, 0, 9}) {
    const StepContent a = content(small, step), b = content(large, step);
    EXPECT_EQ(a.ids, b.ids);
    EXPECT_EQ(a.examples, b.examples);
    EXPECT_GT(a.micro_batches, b.micro_batches);
  }
}

TEST(UnitStream, AUnitIsOneExampleAndSizesArePublic) {
  const TemporaryFolder folder;
  const UnitStream stream = stream_of(
      folder,
      {.expected_batch_size = 12.5, .sequence_length = 8, .micro_batch_size = 4, .unit = "user"});
  const StepContent first = content(stream, 0);
  std::map<std::int64_t, std::set<std::int64_t>> users;  // by example; id 10 i is of document i
  for (std::size_t i = 0; i < first.ids.size(); ++i)
    users[first.examples[i]].insert(first.ids[i] / 20);
  for (const auto& [example, of_users] : users) EXPECT_EQ(of_users.size(), 1U) << example;
  for (std::int64_t step = 0; step < 5; ++step) {
    EXPECT_EQ(stream.size(step).target_tokens, 100);
    EXPECT_EQ(stream.size(step).input_tokens, 100);
  }
}

TEST(UnitStream, BestFitCountsInputs) {
  const TemporaryFolder folder;
  const UnitStream stream = stream_of(
      folder, {.sequence_length = 8, .micro_batch_size = 2, .best_fit = true, .unit = "document"});
  for (std::int64_t i = 0; i < stream.size(1).micro_batches; ++i)
    EXPECT_LE(stream.micro_batch(1, i).tokens(), 16);
  const UnitStream counted = stream_of(folder, {.micro_batch_size = 2, .unit = "document"});
  EXPECT_LT(stream.size(1).micro_batches, counted.size(1).micro_batches);
}

// What dropout and jitter are keyed by: a unit more before it would else change its gradient.
TEST(UnitStream, TheDrawsOfAUnitDoNotDependOnTheOthers) {
  const TemporaryFolder folder;
  constexpr std::int64_t kDraws = kOwnDraws + (std::int64_t{1} << kPlaceBits) - 1;
  const auto places_of_ids = [&](const testing::Documents& documents, const std::string& name) {
    std::vector<Sequences> sources = {of_documents(tokens_of(folder, documents, name))};
    UnitList units("document", sources);
    const UnitDraws draws({.units = units.size(), .rate = 1, .slots = units.size()}, key());
    const UnitStream stream(std::make_unique<SequenceUnits>(std::move(sources), std::move(units)),
                            draws, {.micro_batch_size = 9});
    const Batch batch = stream.micro_batch(0, 0);
    std::map<std::int64_t, std::int64_t> places;
    for (std::int64_t t = 0; t < batch.tokens(); ++t)
      places[batch.ids_T[t].item<std::int64_t>()] = batch.place_T[t].item<std::int64_t>() & kDraws;
    EXPECT_TRUE(examples_of_places(batch.place_T).equal(batch.example_id_T));
    return places;
  };
  const auto with = places_of_ids({{1, 2, 3}, {4, 5}, {6, 7, 8}}, "with");
  const auto without = places_of_ids({{4, 5}, {6, 7, 8}}, "without");
  ASSERT_EQ(without.size(), 3U);
  for (const auto& [id, place] : without) EXPECT_EQ(place, with.at(id)) << id;
  std::set<std::int64_t> places;
  for (const auto& [id, place] : with) places.insert(place);
  EXPECT_EQ(places.size(), with.size());
}

TEST(UnitStream, AStepMayHaveNoUnit) {
  const TemporaryFolder folder;
  const UnitStream stream = stream_of(folder, {.micro_batch_size = 4, .unit = "user"}, 1e-9);
  EXPECT_EQ(stream.size(0).micro_batches, 0);
}

TEST(UnitStream, AUnitLargerThanAMicroBatchIsRefused) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::kRecipe, "train.micro_batch_size is 1, which has room for 1 sequences",
               [&] { stream_of(folder, {.micro_batch_size = 1, .unit = "user"}); });
}

}  // namespace
}  // namespace moesaic
