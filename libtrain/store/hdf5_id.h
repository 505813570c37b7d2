// HDF5 identifiers that close themselves, and HDF5's failures as errors.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace moesaic {

/// Owner of an HDF5 identifier.
class Hdf5Id {
 public:
  using Close = int (*)(std::int64_t);

  Hdf5Id() = default;
  Hdf5Id(std::int64_t id, Close closer) : id_(id), close_(closer) {}
  Hdf5Id(Hdf5Id&& other) noexcept { swap(other); }
  Hdf5Id& operator=(Hdf5Id&& other) noexcept {
    Hdf5Id taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Hdf5Id() { close(); }

  std::int64_t get() const { return id_; }
  /// Closes now; false when HDF5 reports a failure. Does nothing the second time.
  bool close();

 private:
  void swap(Hdf5Id& other) noexcept { std::swap(id_, other.id_), std::swap(close_, other.close_); }

  std::int64_t id_ = -1;
  Close close_ = nullptr;
};

/// Error(kCheckpoint) "cannot <doing>: <HDF5's reason>", with a hint when the disk is full.
[[noreturn]] void throw_hdf5(const std::string& doing);

/// `status` of an HDF5 call (an identifier, a count or 0), unless it is negative: then throws.
template <class Status>
Status must(Status status, const std::string& doing) {
  if (status < 0) throw_hdf5(doing);
  return status;
}

/// The type of a text of any length, in UTF-8: h5py reads it as one, and one of a fixed length as
/// bytes. `doing` as in throw_hdf5().
Hdf5Id variable_text_type(const std::string& doing);

/// Throws Error(kInternal) when HDF5 did not start.
void require_hdf5();

}  // namespace moesaic
