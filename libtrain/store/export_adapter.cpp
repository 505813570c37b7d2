#include "store/export_adapter.h"

#include "config/model_config.h"
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

}  // namespace

void export_adapter(const std::string& from, const std::string& to,
                    const AdapterExportOptions& options) {
  const std::string named = read_peft_config(from).base_model;
  const std::string base = options.base.empty() ? named : options.base;
  if (base.empty() || !find_model_config(base)) {
    throw Error(ErrorKind::kUsage, format("the model of the adapter {} is not at '{}'", from, base),
                "say where it is with --base");
  }
  const arch::Options arch = arch::require_options(read_model_config(base), base);
  PeftFiles files = peft_files(read_peft_folder(from, arch), arch, options.layout);
  files.config.base_model = named.empty() ? base : named;
  check_apart(from, to);
  NewFolder folder(to, {.overwrite = options.overwrite});
  check_room(folder.temporary(), bytes_of_tensors(files));
  write_peft_files(folder.temporary(), files);
  mark_export(folder.temporary());
  folder.publish();
}

}  // namespace moesaic
