// moesaic-site: the one program that speaks to the network, for one coordinator's or silo's job. It
// has neither torch nor MPI. The first rank of the job starts it with a socket in the place of
// stdin, and it ends with the job.
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include "common/program.h"
#include "core/error.h"
#include "sites/job_end.h"

namespace moesaic {
namespace {

bool is_socket(int descriptor) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

// A transfer takes blocks of a megabyte and gives them back, again and again. The C library would
// return them to the kernel each time, and then fresh pages cost as much as all else of a transfer.
void keep_memory_of_transfers() {
  ::mallopt(M_MMAP_THRESHOLD, 8 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
  ::mallopt(M_ARENA_MAX, 4);  // each keeps its own
}

int run() {
  if (!is_socket(STDIN_FILENO)) {
    throw Error(ErrorKind::kUsage, "moesaic-site is started by a job, with a socket to it",
                "run `moesaic federate coordinator` or `moesaic federate silo`");
  }
  keep_memory_of_transfers();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a job that died before shows in its socket
  sites::LineSocket job(STDIN_FILENO, "the job");
  sites::serve_job(job);
  return 0;
}

}  // namespace
}  // namespace moesaic

int main() {
  return moesaic::run_program([] { return moesaic::run(); });
}
