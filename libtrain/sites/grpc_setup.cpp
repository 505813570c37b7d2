#include "sites/grpc_setup.h"

#include <grpc/support/log.h>

#include <cstdlib>

namespace moesaic::sites {

void silence_grpc() {
  if (std::getenv("GRPC_VERBOSITY") != nullptr) return;
  gpr_set_log_verbosity(static_cast<gpr_log_severity>(GPR_LOG_SEVERITY_ERROR + 1));
}

}  // namespace moesaic::sites
