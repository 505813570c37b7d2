#include "store/inspect_hub.h"

#include <c10/util/accumulate.h>

#include "arch/parameter_table.h"
#include "core/path.h"
#include "store/hdf5_spec.h"
#include "store/hub_folder.h"
#include "store/hub_weights.h"
#include "store/safetensors.h"

namespace moesaic {
namespace {

Json row_of(const SafetensorsFile& file, const SafetensorsTensor& tensor) {
  const auto dtype = weight_dtype(*tensor.dtype);
  return {{"file", file_name(file.path())},
          {"name", tensor.name},
          {"shape", tensor.shape},
          {"dtype", dtype ? dtype_name(*dtype) : tensor.dtype->name},
          {"whole", true},
          {"digest", file.digest(tensor)}};
}

void note_problem(Json& report, const Error& error) {
  report["whole"] = false;
  report["problem"] = error.what();
}

/// Values of the model that config.json describes, once it is clear that they are all there.
void check_model(const HubFolder& folder, Json& report) {
  try {
    const arch::Options options = arch::require_options(folder.config(), folder.path());
    HubWeights(folder, options).check_copies();
    std::int64_t values = 0;
    for (const arch::ParameterInfo& info : arch::parameter_table(options)) values += info.numel();
    report["parameters"] = values;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCheckpoint) return note_problem(report, error);
    report["unsupported"] = error.what();
  }
}

}  // namespace

Json inspect_safetensors(const std::string& path) {
  Json report = {{"kind", "safetensors"}, {"path", path}, {"whole", true}};
  try {
    const SafetensorsFile file(path);
    report["parameters"] = 0;
    report["metadata"] = Json::object();
    for (const auto& [key, value] : file.header().metadata) report["metadata"].emplace(key, value);
    Json rows = Json::array();
    std::int64_t values = 0;
    for (const SafetensorsTensor& tensor : file.header().tensors) {
      rows.push_back(row_of(file, tensor));
      values += c10::multiply_integers(tensor.shape);
    }
    report["parameters"] = values;
    report["datasets"] = std::move(rows);
  } catch (const Error& error) {
    note_problem(report, error);
  }
  return report;
}

Json inspect_hub(const std::string& path) {
  Json report = {{"kind", "hub"}, {"path", path}, {"whole", true}};
  try {
    const HubFolder folder(path);
    const auto model_type = folder.config().find("model_type");
    if (model_type != folder.config().end()) report["model_type"] = *model_type;
    report["parameters"] = 0;
    report["files"] = Json::object();
    for (const SafetensorsFile& file : folder.files()) {
      report["files"][file_name(file.path())] = {{"size", file_size(file.path())}};
    }
    Json rows = Json::array();
    std::int64_t values = 0;
    for (const HubTensor& item : folder.tensors()) {
      rows.push_back(row_of(*item.file, *item.tensor));
      values += c10::multiply_integers(item.tensor->shape);
    }
    report["parameters"] = values;
    report["datasets"] = std::move(rows);
    check_model(folder, report);
  } catch (const Error& error) {
    note_problem(report, error);
  }
  return report;
}

}  // namespace moesaic
