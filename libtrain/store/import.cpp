#include "store/import.h"

#include "arch/arch.h"
#include "core/error.h"
#include "store/checkpoint_writer.h"
#include "store/finite.h"
#include "store/hub_source.h"
#include "store/new_folder.h"

namespace moesaic {
namespace {

RowSource rows_of(const HubSource& source, const arch::ParameterInfo& info, bool allow_nonfinite) {
  return [&source, info, allow_nonfinite](std::int64_t first, std::int64_t count) {
    at::Tensor values = source.rows(info.name, first, count);
    if (allow_nonfinite) return values;
    const std::string name = nonfinite_weight(info.name, info.scope, first, values);
    if (name.empty()) return values;
    throw Error(ErrorKind::kCheckpoint,
                format("{} of {} holds NaN or infinity", name, source.path()),
                "take the weights from elsewhere, or accept them with --allow-nonfinite");
  };
}

CheckpointFiles files_of(const RankContext& context, const HubSource& source,
                         const ImportOptions& options) {
  CheckpointFiles files;
  files.config = arch::to_config(source.arch());
  files.hub = source.origin(context).files;
  for (const arch::ParameterInfo& info : arch::parameter_table(source.arch())) {
    const at::ScalarType dtype = source.dtypes().at(info.name);
    files.model.push_back(
        part_of(context, info, dtype, rows_of(source, info, options.allow_nonfinite)));
    files.model.back().hub_dtype = dtype_name(dtype);
  }
  return files;
}

}  // namespace

void import_model(const std::string& from, const std::string& to, const ImportOptions& options,
                  const Log& log) {
  RankContext context = RankContext::single();
  context.log = log;
  const auto source = HubSource::open(context, from);
  check_apart(from, to);
  NewFolder folder(to, {.overwrite = options.overwrite});
  CheckpointFiles files = files_of(context, *source, options);
  check_room(folder.temporary(), files.bytes());
  write_checkpoint(context, folder.temporary(), files, manifest_head(context, 0, "master"));
  folder.publish();
}

}  // namespace moesaic
