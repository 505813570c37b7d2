// Blocks that may be absent and lists of structs, within each other.
#include "config/struct_value.h"

#include <gtest/gtest.h>

#include <map>

#include "config/difference.h"
#include "config/sample_schema.h"
#include "config/schema_text.h"

namespace moesaic {
namespace {

using namespace rules;
using namespace sample;

struct Lora {
  std::int64_t r = 16;
  double alpha = 32;
};

struct Budget {
  double epsilon = 0;
  double delta = 1e-6;
};

struct Adapt {
  std::vector<std::string> train;
  std::vector<std::string> files;
  std::optional<Lora> lora;
  std::optional<Budget> budget;
};

struct Source {
  std::string path;
  double weight = 1.0;
};

struct Task {
  std::string name;
  std::vector<Source> train;
  std::optional<Budget> budget;
  struct {
    std::int64_t steps = 10;
  } length;
};

struct Owner {
  std::string name = "x";
  std::optional<Adapt> adapt;
  std::optional<Budget> usual = Budget{1.0, 0.5};
  std::vector<Task> tasks;
  std::vector<Source> sources;
};

const Schema<Lora>& schema_of(const Lora*) {
  static const Schema<Lora> schema = [] {
    Schema<Lora> made{"adapter", "{r: 8}", {}};
    add_key(made.keys, FIELD(r), size(), "Rank.");
    add_key(made.keys, FIELD(alpha), positive(), "Alpha.");
    return made;
  }();
  return schema;
}

const Schema<Budget>& schema_of(const Budget*) {
  static const Schema<Budget> schema = [] {
    Schema<Budget> made{"budget", "{epsilon: 1}", {}};
    add_key(made.keys, FIELD(epsilon), {.least = 0, .required = true}, "Epsilon.");
    add_key(made.keys, FIELD(delta), from(0, 1), "Delta.");
    return made;
  }();
  return schema;
}

const Schema<Adapt>& schema_of(const Adapt*) {
  static const Schema<Adapt> schema = [] {
    Schema<Adapt> made{"adaptation", "{}", {}};
    add_key(made.keys, FIELD(train), {}, "Patterns.");
    add_key(made.keys, FIELD(files), path(), "Files.");
    add_block(made.keys, FIELD(lora), "LoRA.");
    add_block(made.keys, FIELD(budget), "Budget.");
    return made;
  }();
  return schema;
}

const Schema<Source>& schema_of(const Source*) {
  static const Schema<Source> schema = [] {
    Schema<Source> made{"source", "{path: a.txt}", {}};
    add_key(made.keys, FIELD(path), required(), "Path.");
    add_key(made.keys, FIELD(weight), positive(), "Weight.");
    return made;
  }();
  return schema;
}

const Schema<Task>& schema_of(const Task*) {
  static const Schema<Task> schema = [] {
    Schema<Task> made{"task", "{name: first, train: [..]}", {}};
    add_key(made.keys, FIELD(name), required(), "Name.");
    add_key(made.keys, FIELD(train), required(), "Sources.");
    add_block(made.keys, FIELD(budget), "Budget.");
    add_key(made.keys, FIELD(length.steps), steps(), "Steps.");
    return made;
  }();
  return schema;
}

const Schema<Owner>& schema_of(const Owner*) {
  static const Schema<Owner> schema = [] {
    Schema<Owner> made{"owner", "{}", {}};
    add_key(made.keys, FIELD(name), {}, "Name.");
    add_block(made.keys, FIELD(adapt), "Adapt.");
    add_block(made.keys, FIELD(usual), "There unless it is taken away.");
    add_key(made.keys, FIELD(tasks), {}, "Tasks.");
    add_key(made.keys, FIELD(sources), {}, "Sources.");
    return made;
  }();
  return schema;
}

constexpr const char* kUnset =
    "name: x\n"
    "usual:\n"
    "  epsilon: 1.0\n"
    "  delta: 0.5\n";

TEST(OptionalBlock, IsAbsentUnlessGivenAndThenHasItsDefaults) {
  EXPECT_FALSE(good<Owner>("{}").adapt.has_value());
  EXPECT_EQ(yaml(good<Owner>("{}")), kUnset);
  const Owner empty = good<Owner>("adapt: {}");
  ASSERT_TRUE(empty.adapt.has_value());
  EXPECT_FALSE(empty.adapt->lora.has_value());
  const Owner nested = good<Owner>("adapt: {lora: {}}");
  ASSERT_TRUE(nested.adapt && nested.adapt->lora);
  EXPECT_EQ(nested.adapt->lora->r, 16);
  EXPECT_FALSE(nested.adapt->budget.has_value());
  EXPECT_EQ(good<Owner>("adapt: {lora: {r: 4}}").adapt->lora->r, 4);
}

TEST(OptionalBlock, IsMadeAndTakenAwayByOverrides) {
  EXPECT_EQ(good<Owner>("{}", {"adapt.lora.r=8"}).adapt->lora->r, 8);
  EXPECT_EQ(good<Owner>("adapt:\n", {"adapt.lora.r=8"}).adapt->lora->r, 8);
  EXPECT_EQ(good<Owner>("adapt: {lora: {r: 3}}", {"adapt.train=[a]"}).adapt->lora->r, 3);
  EXPECT_FALSE(good<Owner>("adapt: {lora: {r: 3}}", {"adapt.lora=null"}).adapt->lora.has_value());
  EXPECT_FALSE(good<Owner>("adapt: {lora: {r: 3}}", {"adapt=null"}).adapt.has_value());
  EXPECT_FALSE(good<Owner>("usual: null").usual.has_value());
}

TEST(OptionalBlock, WantsItsRequiredKeysOnlyWhenItIsThere) {
  EXPECT_EQ(problem<Owner>("adapt: {budget: {delta: 0.5}}"),
            "r:1:1: adapt.budget.epsilon is missing");
  EXPECT_EQ(problem<Owner>("tasks: [{name: a, train: [{path: p}], budget: {}}]"),
            "r:1:9: tasks[0]: budget.epsilon is missing");
  EXPECT_EQ(good<Owner>("tasks: [{name: a, train: [{path: p}], budget: {epsilon: 3}}]")
                .tasks.at(0)
                .budget->epsilon,
            3.0);
}

TEST(OptionalBlock, RefusesCarelessInput) {
  EXPECT_EQ(problem<Owner>("adapt: 5"), "r:1:8: adapt: expected a mapping of its keys, got '5'");
  EXPECT_EQ(problem<Owner>("adapt: {lora: [r]}"),
            "r:1:15: adapt.lora: expected a mapping of its keys, got a list");
  EXPECT_EQ(problem<Owner>("adapt: {lora: {rr: 4}}"),
            "r:1:16: adapt.lora.rr: unknown key (did you mean 'r'?)");
  EXPECT_EQ(problem<Owner>("adapt: {lorra: {r: 4}}"),
            "r:1:9: adapt.lorra: unknown key (did you mean 'lora'?)");
  EXPECT_NE(problem<Owner>("adapt: {lora: {r: }}")
                .find("adapt.lora.r: expected an integer >= 1 and <= 1000000000, got nothing"),
            std::string::npos);
  EXPECT_EQ(problem<Owner>("adapt: \"\""), "r:1:8: adapt: expected a mapping of its keys, got ''");
  EXPECT_EQ(problem<Owner>("adapt: {lora: {r: 4, r: 5}}"),
            "r:1:22: duplicate key 'r'; the first one counts");
}

TEST(OptionalBlock, DiffersFromOneWithItsDefaults) {
  const auto paths = [](const std::string& before, const std::string& after) {
    std::vector<std::string> lines;
    for (const auto& [path, a, b] : differences(good<Owner>(before), good<Owner>(after)))
      lines.push_back(path + " " + a + " " + b);
    return lines;
  };
  using Lines = std::vector<std::string>;
  EXPECT_EQ(paths("{}", "{adapt: {lora: {}}, name: y}"),
            (Lines{"name x y", "adapt absent present"}));
  EXPECT_EQ(paths("adapt: {}", "adapt: {train: [a], lora: {}}"),
            (Lines{"adapt.train [] [a]", "adapt.lora absent present"}));
  EXPECT_EQ(paths("adapt: {lora: {r: 8}}", "adapt: {lora: {}}"), (Lines{"adapt.lora.r 8 16"}));
  EXPECT_EQ(paths("usual: null", "{}"), (Lines{"usual null present"}));
  EXPECT_EQ(paths("adapt: {lora: {}}", "adapt: {lora: {r: 16}}"), Lines{});
}

TEST(ListOfStructs, ReadsListsWithinLists) {
  const Owner owner = good<Owner>(
      "tasks:\n"
      "  - {name: one, train: [{path: a}, {path: b, weight: 2}]}\n"
      "  - name: two\n"
      "    train: [{path: c}]\n"
      "    length: {steps: 3}\n");
  ASSERT_EQ(owner.tasks.size(), 2U);
  EXPECT_EQ(owner.tasks[0].train.at(1).weight, 2.0);
  EXPECT_EQ(owner.tasks[0].length.steps, 10);
  EXPECT_EQ(owner.tasks[1].length.steps, 3);
  EXPECT_TRUE(good<Owner>("tasks: null").tasks.empty());
  EXPECT_TRUE(good<Owner>("tasks: []").tasks.empty());
}

TEST(ListOfStructs, RefusesCarelessInputWithItsPath) {
  EXPECT_EQ(problem<Owner>("tasks: {name: a}"),
            "r:1:8: tasks: expected a list such as [{name: first, train: [..]}], got a mapping");
  EXPECT_EQ(problem<Owner>("tasks: ['']"),
            "r:1:9: tasks[0]: expected a mapping {name: ...}, got ''");
  EXPECT_EQ(problem<Owner>("tasks: [null]"),
            "r:1:9: tasks[0]: expected a mapping {name: ...}, got nothing");
  EXPECT_EQ(problem<Owner>("tasks: [{name: a, train: [{path: p, wieght: 2}]}]"),
            "r:1:37: tasks[0].train[0].wieght: unknown key (did you mean 'weight'?)");
  EXPECT_EQ(problem<Owner>("tasks: [{name: a, train: [{path: p}, {weight: 2}]}]"),
            "r:1:38: tasks[0].train[1]: path is missing");
  EXPECT_EQ(problem<Owner>("tasks: [{name: a, train: []}]"),
            "r:1:26: tasks[0].train: expected at least one source, got a list");
  EXPECT_EQ(problem<Owner>("tasks: [{name: a, train: [{path: p}], length: 3}]"),
            "r:1:47: tasks[0].length: expected a mapping of its keys, got '3'");
}

TEST(Structs, ReadBackAsTheSame) {
  expect_to_read_back<Owner>(
      {"adapt: {}", "adapt: {lora: {}}", "usual: null", "usual: {epsilon: 4}",
       "sources: [{path: a, weight: 0.1}, {path: 'b: c'}]",
       "adapt: {train: [a, 'true', '1', 'x, y', '[', '#'], files: [/a b]}",
       "adapt: {budget: {epsilon: 1}}",
       "tasks: [{name: a, train: [{path: p}, {path: q}], budget: {epsilon: 3}}, {name: b, train: "
       "[{path: r}], length: {steps: 0}}]"});
}

TEST(Structs, AreWrittenForPeople) {
  EXPECT_EQ(yaml(good<Owner>("{adapt: {lora: {r: 4}}, usual: null, tasks: [{name: a, "
                             "train: [{path: p}]}], sources: [{path: s}]}")),
            "name: x\n"
            "adapt:\n"
            "  train: []\n"
            "  files: []\n"
            "  lora:\n"
            "    r: 4\n"
            "    alpha: 32.0\n"
            "usual: null\n"
            "tasks:\n"
            "  - name: a\n"
            "    train:\n"
            "      - {path: p, weight: 1.0}\n"
            "    length:\n"
            "      steps: 10\n"
            "sources:\n"
            "  - {path: s, weight: 1.0}\n");
}

TEST(Structs, ThatHaveNothingToSayAreStillThere) {
  EXPECT_EQ(yaml_lines({{"a", "{}", true}, {"b.c", "1"}, {"b.d", "{}", true}, {"b.d.e", "2"}}),
            "a: {}\nb:\n  c: 1\n  d:\n    e: 2\n");
  EXPECT_EQ(yaml_mapping({}), "{}");
}

TEST(ReferencePage, SaysWhichKeysBelongToABlock) {
  const std::vector<KeyInfo> keys =
      entries_below("", schema_of(static_cast<const Owner*>(nullptr)));
  std::map<std::string, Json> entries;
  for (const Json& entry : schema_json(keys)) entries[entry.at("key")] = entry;
  EXPECT_EQ(entries.at("name").at("block"), nullptr);
  EXPECT_EQ(entries.at("adapt").at("type"), "optional block");
  EXPECT_EQ(entries.at("adapt.lora").at("block"), "adapt");
  EXPECT_EQ(entries.at("adapt.lora.r").at("block"), "adapt.lora");
  EXPECT_EQ(entries.at("adapt.files").at("type"), "list of paths");
  EXPECT_EQ(entries.at("tasks").at("type"), "list of tasks");
  EXPECT_EQ(entries.at("tasks[].train[].path").at("block"), nullptr);
  EXPECT_EQ(entries.at("tasks[].budget.epsilon").at("block"), "tasks[].budget");
  EXPECT_EQ(entries.at("sources[].weight").at("type"), "number");
  const std::string page = schema_markdown(keys);
  EXPECT_NE(page.find("\n## `adapt`\n\n| key | type | default | allowed | meaning |\n| --- | --- | "
                      "--- | --- | --- |\n| `adapt` | optional block | absent |  | Adapt. |\n"),
            std::string::npos)
      << page;
  EXPECT_NE(page.find("| `adapt.lora.r` | integer | 16 with adapt.lora | "), std::string::npos);
  EXPECT_NE(page.find("| `adapt.budget.epsilon` | number | required with adapt.budget | "),
            std::string::npos);
  EXPECT_NE(schema_table(keys).find("16 with adapt.lora"), std::string::npos);
}

}  // namespace
}  // namespace moesaic
