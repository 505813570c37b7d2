// HDF5 behind RAII: the only place that knows its C API. A file is laid out by one process, and its
// values are written to their places without HDF5 (ChunkFile). It is read by each process alone,
// and what is read is not trusted: links, storage, filters, types, ranks and sizes are checked
// before anything is allocated. Every failure is an Error(kCheckpoint) that carries HDF5's own
// reason. HDF5 is not thread-safe: one thread of a process at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/hdf5_id.h"
#include "store/hdf5_spec.h"

namespace moesaic {

/// Bytes of the file that hold the values of a chunk and their checksum.
struct StoredChunk {
  std::uint64_t place = 0;
  std::uint64_t bytes = 0;
};

class Hdf5Dataset {
 public:
  const Hdf5Spec& spec() const { return spec_; }
  const std::string& where() const { return where_; }
  /// Bytes that it takes in the file, after the filters.
  std::uint64_t stored_bytes() const;

  /// In a file that is laid out: gives every chunk its place, the offset in the file where its
  /// values and their checksum go; in the order of ChunkGrid.
  std::vector<std::int64_t> place_chunks();
  void read_rows(std::int64_t first, std::int64_t count, void* values) const;
  /// Where its chunks lie; none of a dataset without chunks. HDF5's table of them has no checksum:
  /// refuses one with more or fewer chunks than the dataset has, or that leaves out a filter.
  std::vector<StoredChunk> stored_chunks() const;

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
  /// A new file that gets everything but values: place_chunks() says where those go.
  static Hdf5File lay_out(const std::string& path);
  static Hdf5File open(const std::string& path);  // read-only
  /// A file that is whole but for its attributes.
  static Hdf5File open_to_describe(const std::string& path);
  /// Whether a file begins as HDF5 files do, or its name ends in .h5.
  static bool is_at(const std::string& path);

  /// Fletcher32 on; no time stamps, so equal content gives equal files.
  Hdf5Dataset create_dataset(const Hdf5Spec& spec);

  /// All datasets in order of their names. Refuses soft, external and repeated links and other
  /// objects.
  std::vector<std::string> dataset_names() const;
  /// Refuses virtual and external storage, other filters and types, and what is larger than the
  /// file.
  Hdf5Dataset dataset(const std::string& name) const;

  /// Of the file itself.
  void set_attribute(const std::string& name, const std::string& text);
  void set_attribute(const std::string& name, std::int64_t number);
  /// "" when absent or not a short text.
  std::string attribute(const std::string& name) const;
  /// nullopt when absent or not one whole number.
  std::optional<std::int64_t> number_attribute(const std::string& name) const;

  const std::string& path() const { return path_; }
  /// Throws when something could not be written; the destructor only lets go.
  void close();

 private:
  static Hdf5File opened(const std::string& path, unsigned how);
  Hdf5File(Hdf5Id id, std::string path) : id_(std::move(id)), path_(std::move(path)) {}

  Hdf5Id id_;
  std::string path_;
};

}  // namespace moesaic
