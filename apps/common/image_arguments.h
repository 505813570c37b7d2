// The options of `eval` that say which images of IDX files are meant, as a recipe's keys of the
// same names do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace moesaic {

struct ImageArguments {
  std::string labels;
  std::vector<std::int64_t> classes;  // none: all
  std::string map = "none";
  std::optional<std::int64_t> permutation = {};
  bool mask_classes = false;

  bool any() const;  // was given
};

/// `arguments` must outlive the parse.
void add_image_arguments(CLI::App& verb, ImageArguments& arguments);
/// As the worker reads them.
void append_arguments(std::vector<std::string>& argv, const ImageArguments& arguments);

}  // namespace moesaic
