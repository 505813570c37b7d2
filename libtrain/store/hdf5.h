// HDF5 behind RAII: the only place that knows its C API. A file is written by one process or, when
// a communicator is given, by all of its ranks through MPI-IO; it is read by each process alone,
// and what is read is not trusted: links, storage, filters, types, ranks and sizes are checked
// before anything is allocated. Every failure is an Error(kCheckpoint) that carries HDF5's own
// reason.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "store/hdf5_id.h"
#include "store/hdf5_spec.h"

namespace moesaic {

class Hdf5Dataset {
 public:
  const Hdf5Spec& spec() const { return spec_; }
  const std::string& where() const { return where_; }
  /// Bytes that it takes in the file, after the filters.
  std::uint64_t stored_bytes() const;

  /// Writes rows [first, first + count) of the first dimension. Collective in a parallel file,
  /// where `count` 0 takes part without data.
  void write_rows(std::int64_t first, std::int64_t count, const void* values);
  /// By the process that creates the file, when several will write the rows: HDF5 1.10 tells chunks
  /// of a collective write apart by their addresses, and hangs on chunks that have none yet.
  /// Allocating them early would write every value twice; a placeholder of 8 bytes is enough.
  void place_chunks();
  void read_rows(std::int64_t first, std::int64_t count, void* values) const;

  /// Collective in a parallel file, as is close().
  void set_attribute(const std::string& name, const std::string& text);
  /// "" when absent or not a short text.
  std::string attribute(const std::string& name) const;
  void close();

 private:
  friend class Hdf5File;
  Hdf5Dataset(Hdf5Id id, Hdf5Spec spec, std::string where)
      : id_(std::move(id)), spec_(std::move(spec)), where_(std::move(where)) {}

  Hdf5Id id_;
  Hdf5Spec spec_;
  std::string where_;  // "dataset 'x' of <path>", for messages
};

class Hdf5File {
 public:
  /// This process alone.
  static Hdf5File create(const std::string& path);
  /// Collective over `mpi_comm` (Communicator::native_mpi()): opens what one process has created,
  /// for all ranks to write to.
  static Hdf5File open_parallel(const std::string& path, const void* mpi_comm);
  /// Read-only, this process alone.
  static Hdf5File open(const std::string& path);

  /// Collective in a parallel file. Fletcher32 on; no time stamps, so equal content gives equal
  /// files.
  Hdf5Dataset create_dataset(const Hdf5Spec& spec);

  /// All datasets in order of their names. Refuses soft, external and repeated links and other
  /// objects.
  std::vector<std::string> dataset_names() const;
  /// Refuses virtual and external storage, other filters and types, and what is larger than the
  /// file.
  Hdf5Dataset dataset(const std::string& name) const;

  const std::string& path() const { return path_; }
  /// Collective in a parallel file: call it when all ranks know that all went well, else let go of
  /// it.
  void close();

 private:
  Hdf5File(Hdf5Id id, std::string path) : id_(std::move(id)), path_(std::move(path)) {}

  Hdf5Id id_;
  std::string path_;
};

}  // namespace moesaic
