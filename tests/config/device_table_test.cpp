#include "config/device_table.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"

namespace moesaic {
namespace {

class DeviceTable : public testing::Test {
 protected:
  std::vector<arch::Device> read(const std::string& text) {
    std::ofstream(path_) << text;
    return read_devices(path_);
  }
  /// The message of the refusal, without the path.
  std::string refused(const std::string& text) {
    try {
      read(text);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kRecipe);
      std::string message = error.what();
      for (std::size_t at; (at = message.find(path_)) != std::string::npos;)
        message.erase(at, path_.size());
      return message;
    }
    ADD_FAILURE() << "was read: " << text;
    return "";
  }
  void TearDown() override { std::filesystem::remove(path_); }

 private:
  std::string path_ = testing::TempDir() + "moesaic-devices.yaml";
};

const std::string kRates = "memory_gb_per_s: 3350, node_gb_per_s: 450, network_gb_per_s: 50";

TEST_F(DeviceTable, ReadsFiguresAndDefaults) {
  const auto devices =
      read("devices:\n  - {name: a, memory_gb: 80, float32_tflops: 67, " + kRates + "}\n" +
           "  - {name: b, type: cpu, memory_gb: 11.5, float32_tflops: 0.2, bfloat16_tflops: 1.2, " +
           kRates + ", per_node: 2, product_efficiency: 1}\n");
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[0].name, "a");
  EXPECT_EQ(devices[0].type, "cuda");
  EXPECT_EQ(devices[0].usable_bytes(), 72e9);
  EXPECT_DOUBLE_EQ(devices[0].product_rate(2), 0.7 * 67e12) << "no rate of bfloat16 is given";
  EXPECT_EQ(devices[1].per_node, 2);
  EXPECT_DOUBLE_EQ(devices[1].product_rate(2), 1.2e12);
  EXPECT_DOUBLE_EQ(devices[1].product_rate(8), 0.1e12);
}

TEST_F(DeviceTable, NamesEachMistakeWithItsPlace) {
  const std::string message = refused(
      "devices:\n  - {name: a, memory: 80, memory_gb: 80, float32_tflops: -1, " + kRates +
      "}\n  - {name: b, memory_gb: 1, float32_tflops: 1, " + kRates + ", usable_memory: 1.5}\n");
  EXPECT_NE(message.find(":2:15: devices[0].memory: unknown key"), std::string::npos) << message;
  EXPECT_NE(message.find(":2:58: devices[0].float32_tflops: "), std::string::npos) << message;
  EXPECT_NE(message.find("devices[1].usable_memory: "), std::string::npos) << message;
}

TEST_F(DeviceTable, RefusesWhatIsNoTable) {
  EXPECT_NE(refused("devices:\n  - {name: a}\n").find(":2:5: devices[0]: memory_gb is missing"),
            std::string::npos);
  EXPECT_NE(refused("[1, 2]\n").find(":1:1: "), std::string::npos);
  EXPECT_NE(refused("devices: []\n").find("at least one device"), std::string::npos);
  EXPECT_NE(refused("{}\n").find("devices is missing"), std::string::npos);
  EXPECT_NE(refused("devices: [\n").find(":"), std::string::npos);
  const std::string row = "  - {name: a, memory_gb: 80, float32_tflops: 67, " + kRates + "}\n";
  EXPECT_NE(refused("devices:\n" + row + row).find(":3:12: devices: 'a' is there twice"),
            std::string::npos);
  EXPECT_THROW(read_devices("/none/devices.yaml"), Error);
}

}  // namespace
}  // namespace moesaic
