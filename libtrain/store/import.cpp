#include "store/import.h"

#include <memory>

#include "arch/parameter_table.h"
#include "store/adapted_source.h"
#include "store/checkpoint_writer.h"
#include "store/finite.h"
#include "store/gguf_source.h"
#include "store/hub_source.h"
#include "store/new_folder.h"
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
    const auto original = origin.dtypes.find(info.name);  // a merged weight may have a wider one
    files.model.back().hub_dtype =
        dtype_name(original == origin.dtypes.end() ? dtype : original->second);
  }
  return files;
}

std::unique_ptr<ModelSource> open_source(const RankContext& context, const std::string& from,
                                         const ImportOptions& options) {
  if (!options.base.empty())
    return adapted(context, ModelSource::open(context, options.base), from);
  std::unique_ptr<ModelSource> source;
  if (is_gguf(from))
    source = GgufSource::open(context, from);
  else
    source = HubSource::open(context, from);
  return upcycled(std::move(source), options.upcycle, options.seed);
}

}  // namespace

void import_model(const std::string& from, const std::string& to, const ImportOptions& options,
                  const Log& log) {
  RankContext context = RankContext::single();
  context.log = log;
  const std::unique_ptr<ModelSource> source = open_source(context, from, options);
  check_apart(from, to);
  if (!options.base.empty()) check_apart(options.base, to);
  NewFolder folder(to, {.overwrite = options.overwrite});
  StagingBuffer staging;
  const CheckpointFiles files = files_of(context, *source, options, staging);
  check_room(folder.temporary(), files.bytes());
  write_checkpoint(context, folder.temporary(), files, manifest_head(context, 0, "master"));
  folder.publish();
}

}  // namespace moesaic
