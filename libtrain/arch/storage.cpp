#include "arch/storage.h"

#include "core/error.h"

namespace moesaic::arch {

const char* name_of(Storage storage) {
  switch (storage) {
    case Storage::kMaster:
      return "master";
    case Storage::kBfloat16:
      return "bfloat16";
    case Storage::kInt8:
      return "int8";
    case Storage::kNf4:
      return "nf4";
    case Storage::kFileBlocks:
      return "file";
  }
  return "";
}

Storage storage_named(const std::string& name) {
  for (const Storage storage :
       {Storage::kMaster, Storage::kBfloat16, Storage::kInt8, Storage::kNf4}) {
    if (name == name_of(storage)) return storage;
  }
  throw Error(ErrorKind::kInternal, format("'{}' names no storage", name));
}

std::int64_t matrix_bytes(Storage storage, std::int64_t rows, std::int64_t columns,
                          std::int64_t master_bytes) {
  const std::int64_t values = rows * columns;
  switch (storage) {
    case Storage::kMaster:
      return values * master_bytes;
    case Storage::kBfloat16:
      return values * 2;
    case Storage::kInt8:
      return values + 4 * rows;
    case Storage::kNf4:
      return Nf4Layout{values}.bytes();
    case Storage::kFileBlocks:
      break;
  }
  throw Error(ErrorKind::kInternal, format("no size of storage '{}'", name_of(storage)));
}

}  // namespace moesaic::arch
