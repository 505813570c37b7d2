// Reads small structs with a schema as a recipe is read.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/merge.h"
#include "config/schema_builder.h"

namespace moesaic::sample {

template <class Owner>
struct Read {
  Owner owner;
  std::vector<std::string> problems;
};

template <class Owner>
Read<Owner> read(const std::string& text, const std::vector<std::string>& overrides = {}) {
  ProblemList problems;
  YamlNode root = parse_yaml(text, "r", problems);
  for (const std::string& over : overrides)
    root = merge(std::move(root), parse_override(over, problems));
  Read<Owner> result;
  const std::string name;
  read_value(Slot{root, name, {}, problems}, result.owner);
  for (const Problem& problem : problems.sorted()) result.problems.push_back(problem.text());
  return result;
}

/// What a text without a mistake says.
template <class Owner>
Owner good(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const Read<Owner> result = read<Owner>(text, overrides);
  EXPECT_EQ(result.problems, std::vector<std::string>{}) << text;
  return result.owner;
}

/// The only problem of a text.
template <class Owner>
std::string problem(const std::string& text) {
  const Read<Owner> result = read<Owner>(text);
  EXPECT_EQ(result.problems.size(), 1U) << text;
  return result.problems.empty() ? "" : result.problems[0];
}

template <class Owner>
std::string yaml(const Owner& owner) {
  return yaml_lines(written_keys(owner));
}

/// Each text says something, and what is written of it says the same.
template <class Owner>
void expect_to_read_back(const std::vector<std::string>& texts) {
  const std::string unset = yaml(good<Owner>("{}"));
  EXPECT_EQ(yaml(good<Owner>(unset)), unset);
  for (const std::string& text : texts) {
    const std::string written = yaml(good<Owner>(text));
    EXPECT_EQ(yaml(good<Owner>(written)), written) << text;
    EXPECT_NE(written, unset) << text;
  }
}

}  // namespace moesaic::sample
