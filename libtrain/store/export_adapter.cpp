#include "store/export_adapter.h"

#include "config/model_config.h"
#include "store/adapter_run_source.h"
#include "store/new_folder.h"
#include "store/own_folder.h"
#include "store/peft_reader.h"

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
};

arch::Options arch_at(const std::string& base, const std::string& from) {
  if (base.empty() || !find_model_config(base)) {
    throw Error(ErrorKind::kUsage, format("the model of the adapter {} is not at '{}'", from, base),
                "say where it is with --base");
  }
  return arch::require_options(read_model_config(base), base);
}

ToExport open_adapter(const std::string& from, const std::string& base) {
  const auto place = [&base](const std::string& named) { return base.empty() ? named : base; };
  if (is_peft_folder(from)) {
    const std::string named = read_peft_config(from).base_model;
    const arch::Options arch = arch_at(place(named), from);
    return {read_peft_folder(from, arch), named.empty() ? base : named, arch};
  }
  const CheckpointInfo info = CheckpointStore::open(RankContext::single(), from);
  MOESAIC_CHECK(AdapterRunSource::is_adapted(info), ErrorKind::kUsage,
                "{} is neither a PEFT folder nor a run with adapters", from);
  const std::string named = AdapterBase::of(info).path;
  return {adapter_of_run(info), named, arch_at(place(named), from)};
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
  mark_export(folder.temporary());
  folder.publish();
}

}  // namespace moesaic
