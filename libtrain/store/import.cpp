#include "store/import.h"

#include <map>
#include <memory>

#include "arch/parameter_table.h"
#include "store/adapter_checkpoint.h"
#include "store/checkpoint_writer.h"
#include "store/finite.h"
#include "store/gguf_source.h"
#include "store/hub_source.h"
#include "store/new_folder.h"
#include "store/peft_reader.h"
#include "store/staging.h"
#include "store/upcycled_source.h"

namespace moesaic {
namespace {

RowSource rows_of(const ModelSource& source, const arch::ParameterInfo& info, bool allow_nonfinite,
                  StagingBuffer& staging) {
  return [&source, info, allow_nonfinite, &staging](std::int64_t first, std::int64_t count) {
    std::vector<std::int64_t> shape = info.shape;
    shape[0] = count;
    at::Tensor values = staging.take(shape, source.dtypes().at(info.name));
    source.read(info.name, first, values);
    if (!allow_nonfinite) require_finite(info.name, info.scope, first, values, source.path());
    return values;
  };
}

CheckpointFiles files_of(const RankContext& context, const ModelSource& source,
                         const ImportOptions& options, StagingBuffer& staging) {
  CheckpointFiles files;
  files.config = arch::to_config(source.arch());
  const HubOrigin origin = source.origin(context);
  files.hub = origin.files;
  for (const arch::ParameterInfo& info : arch::parameter_table(source.arch())) {
    const at::ScalarType dtype = source.dtypes().at(info.name);
    files.model.push_back(
        part_of(context, info, dtype, rows_of(source, info, options.allow_nonfinite, staging)));
    const auto original = origin.dtypes.find(info.name);  // of an upcycled weight
    files.model.back().hub_dtype =
        dtype_name(original == origin.dtypes.end() ? dtype : original->second);
  }
  return files;
}

std::unique_ptr<ModelSource> open_source(const RankContext& context, const std::string& from,
                                         const ImportOptions& options) {
  std::unique_ptr<ModelSource> source;
  if (is_gguf(from))
    source = GgufSource::open(context, from);
  else
    source = HubSource::open(context, from);
  return upcycled(std::move(source), options.upcycle, options.seed);
}

// The adapter's values, and what goes with its base.
CheckpointFiles files_of_adapter(const RankContext& context, const std::string& from,
                                 const ModelSource& base, const Adapter& adapter,
                                 const ImportOptions& options) {
  CheckpointFiles files;
  files.config = arch::to_config(base.arch());
  files.hub = base.origin(context).files;
  const std::map<std::string, at::Tensor> values = named_values(adapter);
  for (const arch::ParameterInfo& info : AdapterDescription::of(adapter).table(base.arch(), from)) {
    const at::Tensor whole = values.at(info.name);
    if (!options.allow_nonfinite) require_finite(info.name, info.scope, 0, whole, from);
    files.model.push_back(part_of(context, info, whole.scalar_type(),
                                  [whole](std::int64_t first, std::int64_t count) {
                                    return whole.narrow(0, first, count).contiguous();
                                  }));
  }
  return files;
}

void write_new(const RankContext& context, const std::string& to, const ImportOptions& options,
               const CheckpointFiles& files, const Json& manifest) {
  NewFolder folder(to, {.overwrite = options.overwrite});
  check_room(folder.temporary(), files.bytes());
  write_checkpoint(context, folder.temporary(), files, manifest);
  folder.publish();
}

void import_adapter(const RankContext& context, const std::string& from, const std::string& to,
                    const ImportOptions& options) {
  const std::unique_ptr<ModelSource> base = ModelSource::open(context, options.base);
  check_apart(options.base, to);
  const Adapter adapter = read_peft_folder(from, base->arch());
  Json manifest = manifest_head(context, 0, "master");
  manifest["tokenizer"] = base->tokenizer();
  manifest["base"] = AdapterBase{base->path(), base->digest(context)}.to_json();
  manifest[kAdapterEntry] = AdapterDescription::of(adapter).to_json();
  write_new(context, to, options, files_of_adapter(context, from, *base, adapter, options),
            manifest);
}

}  // namespace

void import_model(const std::string& from, const std::string& to, const ImportOptions& options,
                  const Log& log) {
  RankContext context = RankContext::single();
  context.log = log;
  check_apart(from, to);
  if (!options.base.empty()) return import_adapter(context, from, to, options);
  const std::unique_ptr<ModelSource> source = open_source(context, from, options);
  StagingBuffer staging;
  write_new(context, to, options, files_of(context, *source, options, staging),
            manifest_head(context, 0, "master"));
}

}  // namespace moesaic
