// CheckpointStore::load.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <map>
#include <optional>

#include "core/digest.h"
#include "core/error.h"
#include "parallel/row_blocks.h"
#include "store/agreement.h"
#include "store/checkpoint.h"
#include "store/differences.h"
#include "store/hdf5.h"
#include "store/manifest.h"

namespace moesaic {
namespace {

constexpr std::int64_t kLoadedAtOnce = 16 << 20;

/// A tensor to fill and the dataset that fills it.
struct Target {
  const StateEntry* entry;
  std::string dataset;
  bool exact = false;  // no type but that of the tensor, as resuming needs it
};

std::vector<std::int64_t> stored_shape(const StateEntry& entry) {
  return entry.global_shape.empty() ? std::vector<std::int64_t>{1} : entry.global_shape;
}

/// What is wrong with the dataset for this target; "" when it fits.
std::string mismatch(const Hdf5Spec& spec, const Target& target) {
  const std::vector<std::int64_t> shape = stored_shape(*target.entry);
  if (spec.shape != shape) {
    return format("{} has shape [{}] (here [{}])", spec.name, join(spec.shape, ", "),
                  join(shape, ", "));
  }
  const at::ScalarType dtype = target.entry->tensor.scalar_type();
  const bool convertible = at::isFloatingType(spec.dtype) && at::isFloatingType(dtype);
  if (spec.dtype == dtype || (convertible && !target.exact)) return "";
  return format("{} is {} (here {})", spec.name, dtype_name(spec.dtype), dtype_name(dtype));
}

/// `all`: the file holds nothing else.
void compare(const Hdf5File& file, const std::vector<Target>& targets, bool all,
             Differences& differences) {
  std::map<std::string, bool> used;
  for (const std::string& name : file.dataset_names()) used.emplace(name, false);
  for (const Target& target : targets) {
    const auto found = used.find(target.dataset);
    if (found == used.end()) {
      differences.missing(target.dataset);
      continue;
    }
    found->second = true;
    const std::string what = mismatch(file.dataset(target.dataset).spec(), target);
    if (!what.empty()) differences.differs(what);
  }
  for (const auto& [name, is_used] : used) {
    if (all && !is_used) differences.unexpected(name);
  }
}

void check_digests(const Hdf5Dataset& dataset, const RowBlocks& blocks, std::int64_t first,
                   std::int64_t count, const at::Tensor& values,
                   const std::vector<std::string>& digests) {
  const char* bytes = static_cast<const char*>(values.const_data_ptr());
  for (std::int64_t block = first; block < first + count; ++block) {
    const auto size = static_cast<std::size_t>(blocks.num_rows(block) * dataset.spec().row_bytes());
    MOESAIC_CHECK(digest_of(bytes, size) == digests[static_cast<std::size_t>(block)],
                  ErrorKind::kCheckpoint, "block {} of {} is damaged: its digest is wrong", block,
                  dataset.where());
    bytes += size;
  }
}

/// Reads this rank's rows, some blocks at a time; a value reaches the tensor after its digest was
/// right.
void fill(const Hdf5File& file, const Target& target, const DatasetDigests& all_digests) {
  const Hdf5Dataset dataset = file.dataset(target.dataset);
  const RowBlocks blocks = RowBlocks::of(target.entry->scope, dataset.spec().shape[0]);
  const auto found = all_digests.find(target.dataset);
  MOESAIC_CHECK(found != all_digests.end() && std::ssize(found->second) == blocks.count(),
                ErrorKind::kCheckpoint, "the manifest has not the {} digests of {}", blocks.count(),
                dataset.where());
  const at::Tensor& tensor = target.entry->tensor;
  const at::Tensor rows = tensor.dim() == 0 ? tensor.unsqueeze(0) : tensor;
  const RowRange here = target.entry->rows();
  const std::int64_t step = blocks.blocks_in(kLoadedAtOnce, dataset.spec().row_bytes());
  const std::int64_t end = blocks.block_from(here.end());
  for (std::int64_t block = blocks.block_from(here.first); block < end; block += step) {
    const std::int64_t count = std::min(step, end - block);
    std::vector<std::int64_t> shape = dataset.spec().shape;
    shape[0] = blocks.num_rows(block, count);
    const at::Tensor values = at::empty(shape, at::TensorOptions(dataset.spec().dtype));
    dataset.read_rows(blocks.first_row(block), shape[0], values.mutable_data_ptr());
    check_digests(dataset, blocks, block, count, values, found->second);
    rows.narrow(0, blocks.first_row(block) - here.first, shape[0]).copy_(values);
  }
}

/// What goes where. Where there are masters, the weights come from state.h5.
struct LoadPlan {
  std::vector<Target> model;
  std::vector<Target> state;
  std::vector<Target> rounded;  // weights in model.h5 that have a master: checked, not read
};

LoadPlan plan_load(const CheckpointContent& content, const DatasetDigests& digests) {
  for (const StateDict* entries : {&content.model, &content.state}) {
    for (const StateEntry& entry : *entries) entry.check_rows();
  }
  const bool resumes = !content.state.empty();
  LoadPlan plan;
  for (const StateEntry& entry : content.model) {
    const std::string master = kMasterPrefix + entry.name;
    if (digests.contains(master)) {
      plan.rounded.push_back({&entry, entry.name, false});
      plan.state.push_back({&entry, master, resumes});
    } else {
      plan.model.push_back({&entry, entry.name, resumes});
    }
  }
  for (const StateEntry& entry : content.state) plan.state.push_back({&entry, entry.name, true});
  return plan;
}

/// The files of a checkpoint, opened by this rank alone: reading needs no collective call.
struct OpenFiles {
  Hdf5File model;
  std::optional<Hdf5File> state;
};

OpenFiles open_files(const CheckpointInfo& info, const LoadPlan& plan) {
  OpenFiles files{Hdf5File::open(info.path + "/" + kModelFile), std::nullopt};
  if (plan.state.empty()) return files;
  MOESAIC_CHECK(info.manifest.at("files").contains(kStateFile), ErrorKind::kCheckpoint,
                "{} holds weights only: no training can go on from it", info.path);
  files.state = Hdf5File::open(info.path + "/" + kStateFile);
  return files;
}

void check_fit(const CheckpointInfo& info, const OpenFiles& files, const LoadPlan& plan,
               const CheckpointContent& content) {
  Differences differences("the checkpoint");
  std::vector<Target> in_model = plan.model;
  in_model.insert(in_model.end(), plan.rounded.begin(), plan.rounded.end());
  compare(files.model, in_model, !content.is_part, differences);
  const bool resumes = !content.state.empty() && !content.is_part;
  if (files.state) compare(*files.state, plan.state, resumes, differences);
  differences.require_none(format("{} does not fit this model", info.path),
                           "use the model.config and optimizer with which it was saved (its "
                           "config.json), or another checkpoint");
}

}  // namespace

void CheckpointStore::load(const RankContext& context, const CheckpointInfo& info,
                           CheckpointContent& content) {
  const at::NoGradGuard no_grad;
  LoadPlan plan;
  DatasetDigests digests;
  std::optional<OpenFiles> files;
  agreed(context.world, "checkpoint: fit", [&] {
    digests = dataset_digests(info.manifest);
    plan = plan_load(content, digests);
    files = open_files(info, plan);
    check_fit(info, *files, plan, content);
  });
  agreed(context.world, "checkpoint: load", [&] {
    for (const Target& target : plan.model) fill(files->model, target, digests);
    for (const Target& target : plan.state) fill(*files->state, target, digests);
  });
}

}  // namespace moesaic
