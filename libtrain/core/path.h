// What is at a path. The questions of std::filesystem throw what no user understands when a name is
// too long or a folder may not be searched; these throw Error with the path and the reason.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"

namespace moesaic {

enum class PathKind { kNothing, kFile, kFolder, kOther };  // other: a device, pipe or socket

/// Links are followed; one that leads to nothing is kNothing. Error(kind) when the system cannot
/// tell.
PathKind what_is_at(const std::string& path, ErrorKind kind = ErrorKind::kData);
bool path_exists(const std::string& path, ErrorKind kind = ErrorKind::kData);
bool is_file(const std::string& path, ErrorKind kind = ErrorKind::kData);
bool is_folder(const std::string& path, ErrorKind kind = ErrorKind::kData);

/// Whether a directory entry is there, be it a link that leads to nothing.
bool entry_exists(const std::string& path, ErrorKind kind = ErrorKind::kData);
/// Where a symbolic link leads, as it is written there; "" for what is none.
std::string link_target(const std::string& path);

/// In bytes.
std::uint64_t file_size(const std::string& path, ErrorKind kind = ErrorKind::kData);
/// Of everything in a folder, without "." and "..", sorted by their bytes.
std::vector<std::string> names_in(const std::string& folder, ErrorKind kind = ErrorKind::kData);
/// "c" of "a/b/c".
std::string file_name(const std::string& path);

/// The folder of the program that runs, where its others are, too.
std::string program_folder();

/// Absolute, and with links followed as far as there is something.
std::string canonical_path(const std::string& path, ErrorKind kind = ErrorKind::kData);
/// Whether canonical `path` is the canonical `folder` or lies in it.
bool lies_in(const std::string& path, const std::string& folder);

/// Error(kUsage) when both are there and are one file: what is written would replace what is read.
void refuse_same_file(const std::string& input, const std::string& output);

/// Removes a file, or a folder with everything in it. Nothing there is no error.
void remove_tree(const std::string& path, ErrorKind kind = ErrorKind::kCheckpoint);

}  // namespace moesaic
