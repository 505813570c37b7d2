// A run folder made by hand.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "observe/temp_folder.h"

namespace moesaic::testing {

struct RunFolderFiles {
  TempFolder folder;

  const std::string& path() const { return folder.path(); }
  void write(const std::string& name, const std::string& text) const {
    const std::filesystem::path file = folder.file(name);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  /// `rows` rows with a loss that falls from 2 towards 1, and loads of two layers of four experts.
  void write_metrics(int rows) const {
    std::string text;
    for (int step = 1; step <= rows; ++step) {
      text += "{\"step\":" + std::to_string(step) + ",\"tokens\":" + std::to_string(100 * step) +
              ",\"loss\":" + std::to_string(1 + 1.0 / step) +
              ",\"tokens_per_s\":50,\"expert_load.0\":[0.25,0.5,0.25,0],"
              "\"expert_load.1\":[1,0,0,0]}\n";
    }
    write("metrics.jsonl", text);
  }
};

}  // namespace moesaic::testing
