#include "comm/mpi/mpi_handles.h"

#include <array>
#include <exception>

#include "core/error.h"

namespace moesaic {
namespace {

bool mpi_is_running() {
  int initialized = 0;
  int finalized = 0;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  return initialized != 0 && finalized == 0;
}

}  // namespace

void check_mpi(int code, const std::string& what) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw Error(ErrorKind::kCommunication,
              format("{}: {}", what, std::string(text.data(), static_cast<std::size_t>(length))));
}

MpiComm::MpiComm(MPI_Comm comm) : comm_(comm) { MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN); }

MpiComm MpiComm::duplicate(MPI_Comm parent) {
  MPI_Comm comm = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(parent, &comm), "MPI_Comm_dup");
  return MpiComm(comm);
}

MpiComm MpiComm::split(MPI_Comm parent, int colour, int key) {
  MPI_Comm comm = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(parent, colour, key, &comm), "MPI_Comm_split");
  return MpiComm(comm);
}

MpiComm::~MpiComm() {
  if (comm_ == MPI_COMM_NULL || std::uncaught_exceptions() > 0 || !mpi_is_running()) return;
  MPI_Comm_free(&comm_);
}

MpiBytes::MpiBytes(std::int64_t bytes) {
  // Counts are int in MPI 3: blocks of 1 GiB and a remainder, as one type.
  constexpr std::int64_t kBlock = std::int64_t{1} << 30;
  const auto blocks = static_cast<int>(bytes / kBlock);
  const auto rest = static_cast<int>(bytes % kBlock);
  if (blocks == 0) {
    check_mpi(MPI_Type_contiguous(rest, MPI_BYTE, &type_), "MPI_Type_contiguous");
  } else {
    MPI_Datatype block = MPI_DATATYPE_NULL;
    check_mpi(MPI_Type_contiguous(static_cast<int>(kBlock), MPI_BYTE, &block),
              "MPI_Type_contiguous");
    const std::array<int, 2> counts{blocks, rest};
    const std::array<MPI_Aint, 2> offsets{0, static_cast<MPI_Aint>(blocks * kBlock)};
    const std::array<MPI_Datatype, 2> types{block, MPI_BYTE};
    const int code = MPI_Type_create_struct(2, counts.data(), offsets.data(), types.data(), &type_);
    MPI_Type_free(&block);
    check_mpi(code, "MPI_Type_create_struct");
  }
  check_mpi(MPI_Type_commit(&type_), "MPI_Type_commit");
}

MpiBytes::~MpiBytes() {
  if (type_ != MPI_DATATYPE_NULL && mpi_is_running()) MPI_Type_free(&type_);
}

}  // namespace moesaic
