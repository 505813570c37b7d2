#include "store/hdf5_tables.h"

#define H5_USE_110_API
#define OMPI_SKIP_MPICXX 1  // hdf5.h includes mpi.h: not its old C++ part
#include <hdf5.h>

#include "core/error.h"
#include "core/fs.h"
#include "store/hdf5_id.h"

namespace moesaic {
namespace {

void write_table(const Hdf5Id& file, const Hdf5Table& table, const std::string& doing) {
  std::int64_t values = 1;
  for (const std::int64_t extent : table.shape) values *= extent;
  MOESAIC_ASSERT(!table.shape.empty() && values == std::ssize(table.values));
  const std::vector<hsize_t> extent(table.shape.begin(), table.shape.end());
  const Hdf5Id space(
      must(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr), doing),
      H5Sclose);
  const Hdf5Id properties(must(H5Pcreate(H5P_DATASET_CREATE), doing), H5Pclose);
  must(H5Pset_obj_track_times(properties.get(), false), doing);  // equal content, equal files
  const Hdf5Id dataset(must(H5Dcreate2(file.get(), table.name.c_str(), H5T_IEEE_F64LE, space.get(),
                                       H5P_DEFAULT, properties.get(), H5P_DEFAULT),
                            doing),
                       H5Dclose);
  must(H5Dwrite(dataset.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                table.values.data()),
       doing);
}

class AttributeWriter {
 public:
  AttributeWriter(const Hdf5Id& file, const std::string& name, const std::string& doing)
      : file_(file), name_(name), doing_(doing) {}

  void operator()(double value) const { write(H5T_NATIVE_DOUBLE, scalar(), &value); }
  void operator()(const std::string& text) const {
    const char* const characters = text.c_str();
    write(text_type().get(), scalar(), static_cast<const void*>(&characters));
  }
  void operator()(const std::vector<std::string>& texts) const {
    std::vector<const char*> characters;
    for (const std::string& text : texts) characters.push_back(text.c_str());
    const hsize_t count = texts.size();
    write(text_type().get(), Hdf5Id(must(H5Screate_simple(1, &count, nullptr), doing_), H5Sclose),
          static_cast<const void*>(characters.data()));
  }

 private:
  Hdf5Id scalar() const { return {must(H5Screate(H5S_SCALAR), doing_), H5Sclose}; }
  Hdf5Id text_type() const { return variable_text_type(doing_); }
  void write(std::int64_t type, const Hdf5Id& space, const void* values) const {
    const Hdf5Id attribute(
        must(H5Acreate2(file_.get(), name_.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT),
             doing_),
        H5Aclose);
    must(H5Awrite(attribute.get(), type, values), doing_);
  }

  const Hdf5Id& file_;
  const std::string& name_;
  const std::string& doing_;
};

}  // namespace

void write_hdf5_tables(const std::string& path, const std::vector<Hdf5Table>& tables,
                       const std::vector<std::pair<std::string, Hdf5Attribute>>& attributes) {
  require_hdf5();
  const std::string doing = "write " + path, temporary = path + ".tmp";
  Hdf5Id file(must(H5Fcreate(temporary.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), doing),
              H5Fclose);
  for (const Hdf5Table& table : tables) write_table(file, table, doing);
  for (const auto& [name, value] : attributes)
    std::visit(AttributeWriter(file, name, doing), value);
  if (!file.close()) throw_hdf5(doing);
  sync_path(temporary);
  publish(temporary, path);
}

}  // namespace moesaic
