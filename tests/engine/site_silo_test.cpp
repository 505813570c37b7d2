#include "engine/site_silo.h"

#include <gtest/gtest.h>

#include <deque>
#include <filesystem>

#include "config/recipe_reader.h"
#include "core/error.h"
#include "core/fs.h"
#include "core/secure_digest.h"
#include "engine/site_words.h"
#include "observe/temp_folder.h"
#include "support/fake_silos.h"

namespace moesaic {
namespace {

/// A coordinator that gives the orders of a list, and keeps what it is told.
class ListedOrders : public CoordinatorDoor {
 public:
  ListedOrders(Recipe recipe, std::string model)
      : recipe_(std::move(recipe)), model_(std::move(model)) {
    const std::string bytes = read_file(model_);
    blob = {secure_digest_of(bytes), bytes.size()};
  }

  sites::Blob blob;  // of the model
  std::deque<sites::Message> orders;
  std::vector<sites::Message> told;
  std::vector<std::string> files;  // contents of what came with them

  sites::Message offer(std::int64_t round) const {
    return sites::RoundOffer{.round = round, .model = blob, .silos = {"s0"}}.message();
  }
  void finish() { orders.push_back({.kind = std::string(sites::kGoodbyeKind)}); }

  const std::string& silo() const override { return name_; }
  sites::Message join(const sites::Join&) override {
    return {.kind = words::kWelcome, .body = {{"recipe", to_yaml(offered_recipe(recipe_))}}};
  }
  std::optional<sites::Message> wait(double) override {
    if (orders.empty()) throw Error(ErrorKind::kInternal, "the list is at its end");
    const sites::Message order = orders.front();
    orders.pop_front();
    return order;
  }
  sites::Message send(const sites::Message& message, const std::string& file) override {
    told.push_back(message);
    files.push_back(file.empty() ? "" : read_file(file));
    return {.kind = words::kTaken};
  }
  void fetch(const sites::Blob& wanted, const std::string& path) override {
    MOESAIC_CHECK(wanted.digest == blob.digest, ErrorKind::kData, "that file is not there");
    write_file_atomic(path, read_file(model_));
  }

 private:
  Recipe recipe_;
  std::string model_;
  std::string name_ = "s0";
};

struct OneSilo {
  testing::TempFolder folder;
  RankContext context = RankContext::single();
  Recipe recipe;
  StopSignal stop;

  OneSilo() {
    test::write_silos(folder.path(), 1);
    recipe = test::small_federation(folder.path(), 1);
    recipe.federated->local_steps = 2;
    recipe.run_dir = folder.file("coordinator");
    GlobalModel(recipe, context).write_file();
  }
  std::string start() const { return exchange_folder(recipe.run_dir) + "/start.safetensors"; }
  /// The silo's job, in its run folder, until its list says goodbye.
  int run(ListedOrders& door, const SiteAllowance& allowance = {}, bool dry_run = false) {
    const std::string run_dir = folder.file("silo");
    make_folder(run_dir + "/exchange");
    const SiloOptions& own = recipe.federated->silos[0];
    SiteSilo::Options options{.allowance = allowance, .run_dir = run_dir, .dry_run = dry_run};
    options.site.name = own.name;
    options.site.data = {own.train, own.valid};
    ChiefTurn turn(context.world, stop);
    SiteSilo silo(options, context.world, context.log, context.device, turn, &door);
    return silo.run(stop);
  }
  std::vector<sites::Message> of_kind(const ListedOrders& door, std::string_view kind) const {
    std::vector<sites::Message> found;
    for (const sites::Message& message : door.told)
      if (message.kind == kind) found.push_back(message);
    return found;
  }
};

// What leaves is the change that the same silo makes within one job.
TEST(SiteSilo, SendsTheChangeOfOneJob) {
  OneSilo one;
  ListedOrders door(one.recipe, one.start());
  door.orders = {{.kind = words::kPrepare}, door.offer(1)};
  door.finish();
  EXPECT_EQ(one.run(door), 0);
  const auto changes = one.of_kind(door, sites::kChangeKind);
  ASSERT_EQ(changes.size(), 1U);
  Recipe same = one.recipe;
  same.run_dir = one.folder.file("same");
  test::FakeSilo silo(same, 0, one.context);
  const std::string path = one.folder.file("expected.safetensors");
  const sites::Message expected =
      silo.train(sites::RoundOffer::of(door.offer(1)), one.start(), path);
  EXPECT_EQ(door.files.at(1), read_file(path));
  EXPECT_EQ(changes[0].body, expected.body);
  EXPECT_EQ(one.of_kind(door, sites::kGoodbyeKind).size(), 1U);
}

TEST(SiteSilo, DoesNotTrainARoundTwice) {
  OneSilo one;
  ListedOrders first(one.recipe, one.start());
  first.orders = {{.kind = words::kPrepare}, first.offer(1), first.offer(1)};
  first.finish();
  one.run(first);
  const auto changes = one.of_kind(first, sites::kChangeKind);
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0].blob, changes[1].blob);
  ListedOrders again(one.recipe, one.start());  // another process, the same folder
  again.orders = {{.kind = words::kPrepare}, again.offer(1)};
  again.finish();
  std::filesystem::remove_all(one.folder.file("silo") + "/silos");
  one.run(again);
  EXPECT_EQ(again.files.at(1), first.files.at(1));
}

TEST(SiteSilo, TrainsARoundAgainWhoseChangeIsDamagedOnItsDisk) {
  OneSilo one;
  ListedOrders first(one.recipe, one.start());
  first.orders = {{.kind = words::kPrepare}, first.offer(1)};
  first.finish();
  one.run(first);
  const std::string change = first.files.at(1);
  write_file_atomic(one.folder.file("silo") + "/exchange/change.safetensors",
                    change.substr(0, change.size() / 2));
  ListedOrders again(one.recipe, one.start());
  again.orders = {{.kind = words::kPrepare}, again.offer(1)};
  again.finish();
  one.run(again);
  EXPECT_EQ(again.files.at(1), change);
}

TEST(SiteSilo, LetsAnOrderGoWhoseModelIsGone) {
  OneSilo one;
  ListedOrders door(one.recipe, one.start());
  sites::Message gone = door.offer(1);
  gone.blob->digest = std::string(64, 'a');
  door.orders = {{.kind = words::kPrepare}, gone, door.offer(1)};
  door.finish();
  EXPECT_EQ(one.run(door), 0);
  EXPECT_EQ(one.of_kind(door, sites::kChangeKind).size(), 1U);
}

TEST(SiteSilo, FetchesNoModelThatIsLargerThanItsRecipes) {
  OneSilo silo;
  ListedOrders door(silo.recipe, silo.start());
  sites::Message offer = door.offer(1);
  offer.blob->bytes = std::uint64_t{1} << 40;
  door.orders = {offer};
  try {
    silo.run(door);
    FAIL() << "it was fetched";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("offers a model of 1099511627776 bytes"),
              std::string::npos);
  }
}

TEST(SiteSilo, EvaluatesTheModelThatItIsGiven) {
  OneSilo one;
  ListedOrders door(one.recipe, one.start());
  sites::Message order = door.offer(0);
  order.kind = words::kEvaluate;
  door.orders = {{.kind = words::kPrepare}, order};
  door.finish();
  one.run(door);
  const auto found = one.of_kind(door, words::kValidation);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_GT(found[0].body.at("loss").get<double>(), 1.0);  // of 29 tokens, untrained: ln 29 = 3.4
  EXPECT_LT(found[0].body.at("loss").get<double>(), 6.0);
  EXPECT_EQ(found[0].body.at("targets").get<std::int64_t>(), 24);  // 4 documents of 7 ids
}

TEST(SiteSilo, TrainsNothingThatItDoesNotAllow) {
  OneSilo one;
  ListedOrders door(one.recipe, one.start());
  EXPECT_THROW(one.run(door, {.rounds = 1}), Error);
  EXPECT_THROW(one.run(door, {.parameters = {"nothing"}}), Error);
  EXPECT_TRUE(one.of_kind(door, sites::kChangeKind).empty());
}

TEST(SiteSilo, TrainsNothingInADryRun) {
  OneSilo one;
  ListedOrders door(one.recipe, one.start());
  EXPECT_EQ(one.run(door, {}, /*dry_run=*/true), 0);
  ASSERT_EQ(door.told.size(), 1U);
  EXPECT_EQ(door.told[0].kind, sites::kGoodbyeKind);
  EXPECT_FALSE(std::filesystem::exists(one.folder.file("silo") + "/accepted.yaml"));
}

// Whoever it joined first cannot ask for more later.
TEST(SiteSilo, AcceptsTheRecipeOfItsFirstJoinAndNoOther) {
  OneSilo one;
  ListedOrders door(one.recipe, one.start());
  door.finish();
  one.run(door);
  Recipe other = one.recipe;
  other.federated->rounds = 9;  // more rounds are no other training
  ListedOrders longer(other, one.start());
  longer.finish();
  EXPECT_EQ(one.run(longer), 0);
  other.optimizer.learning_rate = 9;
  ListedOrders changed(other, one.start());
  try {
    one.run(changed);
    FAIL() << "it went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRecipe);
    EXPECT_NE(std::string(error.what()).find("optimizer.learning_rate"), std::string::npos);
  }
}

}  // namespace
}  // namespace moesaic
