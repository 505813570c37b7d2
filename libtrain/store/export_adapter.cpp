#include "store/export_adapter.h"

#include "config/model_config.h"
#include "core/fs.h"
#include "store/adapter_checkpoint.h"
#include "store/model_source.h"
#include "store/new_folder.h"
#include "store/own_folder.h"
#include "store/peft_reader.h"
#include "store/privacy_card.h"

namespace moesaic {
namespace {

std::uint64_t bytes_of_tensors(const PeftFiles& files) {
  std::uint64_t bytes = 0;
  for (const auto& [name, values] : files.tensors) bytes += values.nbytes();
  return bytes;
}

// An adapter, the model that it names, and the architecture of the model.
struct ToExport {
  Adapter adapter;
  std::string base;
  arch::Options arch;
  std::string privacy_card = {};  // "" = it is not of a private run
};

arch::Options arch_at(const std::string& base, const std::string& from) {
  if (base.empty() || !find_model_config(base)) {
    throw Error(ErrorKind::kUsage, format("the model of the adapter {} is not at '{}'", from, base),
                "say where it is with --base");
  }
  return arch::require_options(read_model_config(base), base);
}

ToExport of_peft(const std::string& from, const std::string& base) {
  const std::string named = read_peft_config(from).base_model;
  const arch::Options arch = arch_at(base.empty() ? named : base, from);
  return {read_peft_folder(from, arch), named.empty() ? base : named, arch};
}

ToExport of_checkpoint(const std::string& from, const std::string& base) {
  const RankContext alone = RankContext::single();
  const CheckpointInfo info = CheckpointStore::open(alone, from);
  MOESAIC_CHECK(holds_adapter(info), ErrorKind::kUsage,
                "{} is neither a PEFT folder nor a run with adapters", from);
  const AdapterCheckpoint adapter(info);
  if (adapter.upcycle().num_experts > 0) {
    throw Error(ErrorKind::kRecipe,
                format("the adapter of {} goes with the experts that the run made of a dense "
                       "model (model.upcycle), which no other program can make",
                       info.path),
                "export the merged model (without --adapter); or write the upcycled model by "
                "moesaic import --upcycle and export, and train the adapter from there");
  }
  const AdapterBase said = AdapterBase::of(info);
  if (!base.empty()) said.require(ModelSource::open(alone, base)->digest(alone), base, info.path);
  return {adapter.whole(), base.empty() ? said.path : base, adapter.arch(),
          privacy_card(info.manifest.value("training", Json()))};
}

ToExport open_adapter(const std::string& from, const std::string& base) {
  return is_peft_folder(from) ? of_peft(from, base) : of_checkpoint(from, base);
}

}  // namespace

void export_adapter(const std::string& from, const std::string& to,
                    const AdapterExportOptions& options) {
  const ToExport found = open_adapter(from, options.base);
  PeftFiles files = peft_files(found.adapter, found.arch, options.layout);
  files.config.base_model = found.base;
  check_apart(from, to);
  NewFolder folder(to, {.overwrite = options.overwrite});
  check_room(folder.temporary(), bytes_of_tensors(files));
  write_peft_files(folder.temporary(), files);
  if (!found.privacy_card.empty())
    write_file_atomic(folder.temporary() + "/" + kPrivacyFile, found.privacy_card);
  mark_export(folder.temporary());
  folder.publish();
}

}  // namespace moesaic
