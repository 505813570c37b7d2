#include "store/inspect.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "config/gguf_header.h"
#include "config/no_model.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/json_text.h"
#include "core/path.h"
#include "parallel/row_blocks.h"
#include "store/checkpoint_folder.h"
#include "store/hdf5.h"
#include "store/hub_folder.h"
#include "store/inspect_gguf.h"
#include "store/inspect_hub.h"
#include "store/manifest.h"
#include "store/safetensors.h"

namespace moesaic {
namespace {

constexpr std::int64_t kDigestedAtOnce = 16 << 20;
constexpr std::size_t kLongestValue = 100;  // of a training entry in the text

/// The blocks that the digests were made of. Where both kinds have the same number they are the
/// same.
RowBlocks blocks_for(std::int64_t rows, std::size_t num_digests) {
  const RowBlocks experts = RowBlocks::of(arch::Scope::kExpert, rows);
  return std::cmp_equal(num_digests, experts.count()) ? experts
                                                      : RowBlocks::of(arch::Scope::kDense, rows);
}

/// Reads all values and gives their digest; compares those of the blocks when there are any.
/// Error(kCheckpoint) when one is wrong.
std::string read_all(const Hdf5Dataset& dataset, const std::vector<std::string>* digests) {
  const Hdf5Spec& spec = dataset.spec();
  const RowBlocks blocks = blocks_for(spec.shape[0], digests == nullptr ? 0 : digests->size());
  MOESAIC_CHECK(digests == nullptr || std::cmp_equal(digests->size(), blocks.count()),
                ErrorKind::kCheckpoint, "{} digests for {} blocks of {}", digests->size(),
                blocks.count(), dataset.where());
  const std::int64_t step = std::max<std::int64_t>(1, kDigestedAtOnce / spec.row_bytes());
  std::vector<std::byte> values;
  Digest whole;
  for (std::int64_t block = 0; block < blocks.count(); ++block) {
    Digest digest;
    const std::int64_t end = blocks.first_row(block + 1);
    for (std::int64_t row = blocks.first_row(block); row < end; row += step) {
      const std::int64_t rows = std::min(step, end - row);
      values.resize(static_cast<std::size_t>(rows * spec.row_bytes()));
      dataset.read_rows(row, rows, values.data());
      digest.update(values.data(), values.size());
      whole.update(values.data(), values.size());
    }
    const bool right =
        digests == nullptr || digest.hex() == (*digests)[static_cast<std::size_t>(block)];
    MOESAIC_CHECK(right, ErrorKind::kCheckpoint, "the digest of block {} of {} is wrong", block,
                  dataset.where());
  }
  return whole.hex();
}

Json inspect_dataset(const Hdf5File& file, const std::string& name, const DatasetDigests* digests) {
  const Hdf5Dataset dataset = file.dataset(name);
  Json row = {{"file", file_name(file.path())},
              {"name", name},
              {"shape", dataset.spec().shape},
              {"dtype", dtype_name(dataset.spec().dtype)},
              {"whole", true}};
  try {
    const auto found = digests == nullptr ? DatasetDigests::const_iterator() : digests->find(name);
    const bool has = digests != nullptr && found != digests->end();
    MOESAIC_CHECK(digests == nullptr || has, ErrorKind::kCheckpoint,
                  "the manifest has no digests of '{}'", name);
    row["digest"] = read_all(dataset, has ? &found->second : nullptr);
  } catch (const Error& error) {
    row["whole"] = false;
    row["problem"] = error.what();
  }
  return row;
}

/// Adds the datasets of one file to `report`, and its values to "parameters" where it is a model.
void inspect_file(const std::string& path, const DatasetDigests* digests, bool is_model,
                  Json& report) {
  const Hdf5File file = Hdf5File::open(path);
  std::int64_t values = 0;
  for (const std::string& name : file.dataset_names()) {
    const Hdf5Spec spec = file.dataset(name).spec();
    values += spec.shape[0] * spec.row_values();
    report["datasets"].push_back(inspect_dataset(file, name, digests));
  }
  if (is_model) report["parameters"] = values;
}

void note_problem(Json& report, const std::string& problem) {
  if (report["whole"].get<bool>()) report["problem"] = problem;
  report["whole"] = false;
}

/// Runs `work`; what it finds damaged goes to the report, and the inspection goes on.
template <class Work>
void reporting(Json& report, const Work& work) {
  try {
    work();
  } catch (const std::exception& error) {
    note_problem(report, error.what());
  }
}

void note_damaged_datasets(Json& report) {
  for (const Json& dataset : report["datasets"]) {
    if (!dataset["whole"].get<bool>()) note_problem(report, dataset["problem"].get<std::string>());
  }
}

Json inspect_checkpoint(const std::string& path) {
  Json report = {{"kind", "checkpoint"}, {"path", path}, {"whole", true}};
  Json manifest;
  reporting(report,
            [&] { manifest = unseal_manifest(read_manifest(path), path + "/" + kManifestName); });
  if (!report["whole"].get<bool>()) return report;
  for (const char* key : {"step", "dtype", "layout", "versions", "tokenizer", "base", "training"}) {
    if (manifest.contains(key)) report[key] = manifest[key];
  }
  report["files"] = manifest["files"];
  report["datasets"] = Json::array();
  const DatasetDigests digests = dataset_digests(manifest);
  for (const auto& [name, entry] : manifest["files"].items()) {
    // A file whose own digest is wrong is still shown as far as it can be read.
    reporting(report, [&, &file = name, &expected = entry] { check_file(path, file, expected); });
    const bool is_hdf5 = name == kModelFile || name == kStateFile;
    reporting(report, [&, &file = name] {
      if (is_hdf5) inspect_file(path + "/" + file, &digests, file == kModelFile, report);
    });
  }
  note_damaged_datasets(report);
  return report;
}

Json inspect_run(const std::string& path, const std::string& folder) {
  Json list = Json::array();
  Json newest;
  for (const FoundCheckpoint& found : list_checkpoints(folder)) {
    const Json report = inspect_checkpoint(found.path);
    Json row = {{"path", found.path}, {"step", found.step}, {"whole", report["whole"]}};
    if (report.contains("problem")) row["problem"] = report["problem"];
    if (newest.is_null() && report["whole"].get<bool>()) newest = report;
    list.push_back(row);
  }
  MOESAIC_CHECK(!list.empty(), ErrorKind::kCheckpoint, "there is no checkpoint in {}", folder);
  Json report = {
      {"kind", "run"}, {"path", path}, {"whole", !newest.is_null()}, {"checkpoints", list}};
  if (newest.is_null()) report["problem"] = "all checkpoints are damaged";
  for (const auto& [key, value] : newest.items()) {
    if (!report.contains(key)) report[key] = value;
  }
  return report;
}

Json inspect_hdf5(const std::string& path) {
  Json report = {{"kind", "hdf5"}, {"path", path}, {"whole", true}, {"datasets", Json::array()}};
  inspect_file(path, nullptr, true, report);
  note_damaged_datasets(report);
  return report;
}

std::string row_text(const Json& dataset) {
  return format(
      "  {:<9} {:<9} {:<22} {:<32} {}{}\n", dataset["file"].get<std::string>(),
      dataset["dtype"].get<std::string>(), dataset["shape"].dump(), dataset.value("digest", ""),
      dataset["name"].get<std::string>(),
      dataset["whole"].get<bool>() ? "" : "  DAMAGED: " + dataset["problem"].get<std::string>());
}

std::string status_text(const Json& item) {
  return item["whole"].get<bool>() ? "whole" : "DAMAGED: " + item.value("problem", "");
}

}  // namespace

Json inspect_path(const std::string& path) {
  constexpr ErrorKind kKind = ErrorKind::kCheckpoint;
  if (is_gguf(path)) return inspect_gguf(path);
  if (is_file(path, kKind)) {
    if (Hdf5File::is_at(path)) return inspect_hdf5(path);
    if (SafetensorsFile::is_at(path)) return inspect_safetensors(path);
    refuse_no_model(path);
  }
  if (HubFolder::is_at(path)) return inspect_hub(path);
  if (path_exists(path + "/" + kManifestName, kKind)) return inspect_checkpoint(path);
  if (is_folder(path + "/checkpoints", kKind)) return inspect_run(path, path + "/checkpoints");
  if (!list_checkpoints(path).empty()) return inspect_run(path, path);
  refuse_no_model(path);
}

std::string inspect_text(const Json& inspected) {
  std::string text = format("{} {}: {}\n", inspected["kind"].get<std::string>(),
                            inspected["path"].get<std::string>(), status_text(inspected));
  if (inspected.contains("checkpoints")) {
    for (const Json& row : inspected["checkpoints"]) {
      text += format("  step {:>8}  {}\n", row["step"].get<std::int64_t>(), status_text(row));
    }
  }
  for (const char* key : {"step", "model_type", "parameters", "dtype", "layout", "tokenizer",
                          "base", "metadata", "unsupported"}) {
    if (inspected.contains(key)) text += format("{}: {}\n", key, json_text(inspected[key]));
  }
  if (inspected.contains("training") && inspected["training"].is_object()) {
    for (const auto& [key, value] : inspected["training"].items()) {
      const std::string shown = json_text(value);
      if (shown.size() <= kLongestValue) text += format("training.{}: {}\n", key, shown);
    }
  }
  if (inspected.contains("datasets")) {
    for (const Json& dataset : inspected["datasets"]) text += row_text(dataset);
  }
  return text;
}

}  // namespace moesaic
