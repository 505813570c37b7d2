// Maps, lists of texts and values of several kinds.
#include "config/variant_value.h"

#include <gtest/gtest.h>

#include <map>

#include "config/sample_schema.h"
#include "config/schema_text.h"

namespace moesaic {
namespace {

using namespace rules;
using namespace sample;

struct Port {
  std::int64_t port = 0;
};

struct Values {
  NamedValues<std::int64_t> ranks;
  NamedValues<double> alphas;
  std::map<std::string, std::string> names;
  std::vector<std::string> train;
  std::vector<std::string> files;
  std::variant<std::string, std::vector<std::string>> targets = "all-linear";
  std::variant<bool, std::string> packing = true;
  std::variant<Off, std::string, Port> publish;
  std::variant<double, std::string> rate = 0.5;
  std::optional<double> lambda = 2.0;
  std::optional<std::variant<double, Port>> limit;
};

const Schema<Port>& schema_of(const Port*) {
  static const Schema<Port> schema = [] {
    Schema<Port> made{"port", "{port: 0}", {}};
    add_key(made.keys, FIELD(port), {.least = 0, .most = 65535, .required = true}, "Port.");
    return made;
  }();
  return schema;
}

const Schema<Values>& schema_of(const Values*) {
  static const Schema<Values> schema = [] {
    Schema<Values> made{"value", "{}", {}};
    add_key(made.keys, FIELD(ranks), size(), "Rank of a module.");
    add_key(made.keys, FIELD(alphas), positive(), "Alpha of a module.");
    add_key(made.keys, FIELD(names), {}, "Name of a module.");
    add_key(made.keys, FIELD(train), {}, "Patterns.");
    add_key(made.keys, FIELD(files), path(), "Files.");
    add_key(made.keys, FIELD(targets), {}, "Modules.");
    add_key(made.keys, FIELD(packing), one_of({"best_fit"}), "Packing.");
    add_key(made.keys, NAMED("private", publish), one_of({"textfile"}), "Publish.");
    add_key(made.keys, FIELD(rate), {.least = 0, .choices = {"auto"}}, "Rate.");
    add_key(made.keys, FIELD(lambda), positive(), "Lambda.");
    add_key(made.keys, FIELD(limit), {}, "Limit.");
    return made;
  }();
  return schema;
}

TEST(Map, ReadsNamesToNumbersIntegersAndTexts) {
  const auto values =
      good<Values>("{ranks: {layers.0.q: 4, \"a b\": 8}, alphas: {q: 1.5}, names: {q: k}}");
  EXPECT_EQ(values.ranks, (NamedValues<std::int64_t>{{"layers.0.q", 4}, {"a b", 8}}));  // as given
  EXPECT_EQ(values.alphas, (NamedValues<double>{{"q", 1.5}}));
  EXPECT_EQ(values.names.at("q"), "k");
  EXPECT_TRUE(good<Values>("ranks: null").ranks.empty());
  EXPECT_TRUE(good<Values>("ranks: {}").ranks.empty());
  EXPECT_EQ(good<Values>("ranks: {a: 1, b: 2}", {"ranks.b=3"}).ranks,
            (NamedValues<std::int64_t>{{"a", 1}, {"b", 3}}));
}

TEST(Map, RefusesCarelessInput) {
  EXPECT_EQ(problem<Values>("ranks: [q, 4]"),
            "r:1:8: ranks: expected a mapping of names to integers, got a list");
  EXPECT_EQ(problem<Values>("alphas: 4"),
            "r:1:9: alphas: expected a mapping of names to numbers, got '4'");
  EXPECT_EQ(problem<Values>("ranks: {q: four}"),
            "r:1:12: ranks.q: expected an integer >= 1 and <= 1000000000, got 'four'");
  EXPECT_EQ(problem<Values>("alphas: {q: 0}"),
            "r:1:13: alphas.q: expected a finite number > 0, got '0'");
  EXPECT_NE(problem<Values>("alphas: {q: }")
                .find("alphas.q: expected a finite number > 0, got "
                      "nothing"),
            std::string::npos);
  EXPECT_EQ(problem<Values>("names: {q: {k: v}}"), "r:1:12: names.q: expected text, got a mapping");
  EXPECT_EQ(problem<Values>("names: {\"\": k}"), "r:1:9: names: a name has 1 to 256 bytes");
  EXPECT_NE(problem<Values>("names: {q: k, q: l}").find("duplicate key 'q'"), std::string::npos);
}

TEST(ListOfTexts, ReadsTextsAndPathsAndRefusesCarelessInput) {
  const auto values = good<Values>("{train: [a, \"1\", 2], files: [x]}");
  EXPECT_EQ(values.train, (std::vector<std::string>{"a", "1", "2"}));
  EXPECT_EQ(values.files.at(0).front(), '/');
  EXPECT_TRUE(good<Values>("train: []").train.empty());
  EXPECT_EQ(problem<Values>("train: a"), "r:1:8: train: expected a list of texts, got 'a'");
  EXPECT_EQ(problem<Values>("train: {a: b}"),
            "r:1:8: train: expected a list of texts, got a mapping");
  EXPECT_NE(problem<Values>("train: ").find("train: expected a list of texts, got nothing"),
            std::string::npos);
  EXPECT_EQ(problem<Values>("train: [null]"), "r:1:9: train: expected text, got nothing");
  EXPECT_EQ(problem<Values>("train: ['']"), "r:1:9: train: expected text, got ''");
  EXPECT_EQ(problem<Values>("train: [[a]]"), "r:1:9: train: expected text, got a list");
}

TEST(ValueOfSeveralKinds, TakesTheKindWhoseFormItHas) {
  EXPECT_EQ(good<Values>("packing: false").packing, (std::variant<bool, std::string>(false)));
  EXPECT_EQ(std::get<std::string>(good<Values>("packing: best_fit").packing), "best_fit");
  EXPECT_TRUE(std::holds_alternative<Off>(good<Values>("private: false").publish));
  EXPECT_EQ(std::get<std::string>(good<Values>("private: textfile").publish), "textfile");
  EXPECT_EQ(std::get<Port>(good<Values>("private: {port: 9}").publish).port, 9);
  EXPECT_EQ(std::get<Port>(good<Values>("private: textfile", {"private.port=7"}).publish).port, 7);
  EXPECT_EQ(std::get<double>(good<Values>("rate: 3").rate), 3.0);
  EXPECT_EQ(std::get<std::string>(good<Values>("rate: auto").rate), "auto");
  EXPECT_EQ(std::get<std::string>(good<Values>("targets: q.*").targets), "q.*");
  EXPECT_EQ(std::get<1>(good<Values>("targets: [q, k]").targets).size(), 2U);
  EXPECT_EQ(good<Values>("lambda: 3").lambda, 3.0);
  EXPECT_FALSE(good<Values>("lambda: null").lambda.has_value());
  EXPECT_FALSE(good<Values>("limit: null").limit.has_value());
}

TEST(ValueOfSeveralKinds, RefusesCarelessInputWithAllThatItMayBe) {
  EXPECT_EQ(problem<Values>("packing: bestfit"),
            "r:1:10: packing: expected true, false or best_fit, got 'bestfit' (did you mean "
            "'best_fit'?)");
  EXPECT_EQ(problem<Values>("packing: \"true\""),
            "r:1:10: packing: expected true, false or best_fit, got 'true'");
  EXPECT_EQ(problem<Values>("packing: []"),
            "r:1:10: packing: expected true, false or best_fit, got a list");
  EXPECT_NE(
      problem<Values>("packing: ").find("packing: expected true, false or best_fit, got nothing"),
      std::string::npos);
  EXPECT_EQ(problem<Values>("packing: ''"),
            "r:1:10: packing: expected true, false or best_fit, got ''");
  EXPECT_EQ(problem<Values>("private: true"),
            "r:1:10: private: expected false, textfile or a mapping {port: ...}, got 'true'");
  EXPECT_EQ(read<Values>("private: {prot: 9}").problems,
            (std::vector<std::string>{"r:1:10: private: port is missing",
                                      "r:1:11: private.prot: unknown key (did you mean 'port'?)"}));
  EXPECT_EQ(problem<Values>("private: {port: 1e9}"),
            "r:1:17: private.port: expected an integer >= 0 and <= 65535 (write 1000000000), got "
            "'1e9'");
  EXPECT_EQ(problem<Values>("rate: -1"), "r:1:7: rate: expected a finite number >= 0, got '-1'");
  EXPECT_EQ(problem<Values>("rate: {}"),
            "r:1:7: rate: expected a finite number >= 0 or auto, got a mapping");
  EXPECT_EQ(problem<Values>("lambda: off"),
            "r:1:9: lambda: expected a finite number > 0, got 'off'");
}

TEST(ValueOfSeveralKinds, NamesItsTypesAndTheKeysWithinIt) {
  const std::vector<KeyInfo> keys =
      entries_below("", schema_of(static_cast<const Values*>(nullptr)));
  std::map<std::string, Json> entries;
  for (const Json& entry : schema_json(keys)) entries[entry.at("key")] = entry;
  EXPECT_EQ(entries.at("packing").at("type"), "true or false or text");
  EXPECT_EQ(entries.at("packing").at("allowed"), "best_fit");
  EXPECT_EQ(entries.at("packing").at("default"), "true");
  EXPECT_EQ(entries.at("private").at("type"), "false or text or mapping");
  EXPECT_EQ(entries.at("private.port").at("required"), true);
  EXPECT_EQ(entries.at("limit").at("type"), "number or mapping");
  EXPECT_EQ(entries.count("limit.port"), 1U);
  EXPECT_EQ(entries.at("ranks").at("type"), "mapping of names to integers");
  EXPECT_EQ(entries.at("files").at("type"), "list of paths");
  EXPECT_EQ(entries.at("targets").at("type"), "text or list of texts");
}

TEST(Values, ReadBackAsTheSame) {
  expect_to_read_back<Values>({"lambda: null", "limit: 3", "limit: {port: 4}", "packing: best_fit",
                               "packing: false", "private: textfile", "private: {port: 9}",
                               "rate: auto", "rate: 7", "targets: [q, k]", "targets: 'true'",
                               "train: [a, 'true', '1', 'x, y', '[', '#']", "files: [/a b]",
                               "ranks: {layers.0.q: 4, 'a: b': 8, 'null': 1, '<<': 2, '{': 3}",
                               "alphas: {q: 0.1}", "names: {a: 'true', 'q\\d+': '~', ü: é}"});
}

}  // namespace
}  // namespace moesaic
