#include "config/no_model.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "config/gguf_header.h"
#include "config/model_config.h"
#include "core/fs.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

class NoModelTest : public testing::Test {
 protected:
  NoModelTest() {
    std::string pattern = (fs::temp_directory_path() / "no-model-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~NoModelTest() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) const {
    const std::string path = folder_ + "/" + name;
    make_folder(fs::path(path).parent_path().string());
    write_file_atomic(path, text);
    return path;
  }
  std::string folder_of(const std::string& name, const std::vector<std::string>& files) const {
    for (const std::string& file : files) write(name + "/" + file, "x");
    return folder_ + "/" + name;
  }
  void expect(const std::string& path, const std::string& part) const {
    try {
      refuse_no_model(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint);
      const std::string text = std::string(error.what()) + " | " + error.hint();
      EXPECT_NE(text.find(part), std::string::npos) << part << " is not in: " << text;
    }
  }

  std::string folder_;
};

TEST_F(NoModelTest, TellsWhatAFileIs) {
  expect(write("recipe.yaml", "name: x\n"), "recipe");
  expect(write("config.json", " {\"model_type\": 1}"), "JSON file");
  expect(write("data.tokens", "MOESAICT...."), "data inspect");
  expect(write("model.safetensors", "version https://git-lfs.github.com/spec/v1\n"), "git lfs");
  expect(write("pytorch_model.bin", "PK\x03\x04"), "pickled");
  expect(write("notes", "PK\x03\x04"), "pickled");
  expect(write("model.h5", "\x89HDF\r\n\x1a\n"), "folder that it lies in");
  expect(write("q8.gguf", "GGUF...."), "not a checkpoint");
  expect(write("empty", ""), "no model of a format that is known");
}

TEST_F(NoModelTest, TellsWhatAFolderHolds) {
  expect(folder_of("bin", {"config.json", "pytorch_model-00001-of-00002.bin"}), "only as pytorch");
  expect(folder_of("adapter", {"adapter_config.json", "adapter_model.safetensors"}), "--adapter");
  expect(folder_of("other", {"config.json", "consolidated.safetensors"}), "consolidated");
  expect(folder_of("hub", {"config.json", "model.safetensors"}), "not a checkpoint");
  expect(folder_of("bare", {"model.safetensors"}), "no config.json");
  expect(folder_of("gguf", {"x.Q4_K.gguf"}), "x.Q4_K.gguf");
  expect(folder_of("config", {"config.json"}), "no weights");
  expect(folder_of("torn", {"config.json", "model.h5"}), "no manifest.json");
  expect(folder_of("cache", {"refs/main", "snapshots/abc/config.json"}), "snapshots");
  expect(folder_of("nothing", {"thesis.tex"}), "no config.json");
}

TEST_F(NoModelTest, TellsOfLinksAndOfWhatIsNotThere) {
  fs::create_symlink("gone", folder_ + "/link");
  expect(folder_ + "/link", "a link to gone, which is not there");
  expect(folder_ + "/nowhere", "no such folder");
  expect("/dev/null", "neither a file nor a folder");
  expect(folder_ + "/" + std::string(300, 'x'), "too long");
}

TEST_F(NoModelTest, IsNotWhatBeginsAsAGgufFile) {
  EXPECT_TRUE(is_gguf(write("blob", "GGUF....")));
  EXPECT_TRUE(is_gguf(write("x.gguf", "?")));  // said by its reader to be none
  EXPECT_FALSE(is_gguf(write("short", "GGU")));
  EXPECT_FALSE(is_gguf(folder_));
  EXPECT_EQ(find_model_config(folder_ + "/blob"), folder_ + "/blob");
}

TEST_F(NoModelTest, IsNotARunWhoseLinkWasLost) {
  for (const char* name : {"step-00000010", "step-00000020", "step-00000030.tmp"})
    write("run/checkpoints/" + std::string(name) + "/config.json", "{}");
  EXPECT_EQ(find_model_config(folder_ + "/run"),
            folder_ + "/run/checkpoints/step-00000020/config.json");
}

}  // namespace
}  // namespace moesaic
