// Keys of config.json that cannot change what a model computes, whatever they say.
#pragma once

#include <string_view>

namespace moesaic::arch {

/// How text is generated: keys of Transformers' GenerationConfig, which older releases kept here.
bool is_generation_key(std::string_view key);

/// Those, and what says where a model is from, how a program is to run it, how it was trained, and
/// notes of other tools.
bool is_passed_over(std::string_view key);

}  // namespace moesaic::arch
