#pragma once

#include <string>

namespace renas::test {

#ifdef RENAS_MPIRUN
/// The launcher, for ranks of this machine whatever its cores, also as root. OpenMPI's
/// settings are those of 4 and of 5; other MPIs do not look at them.
inline const std::string kMpirun =
    "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_oob_tcp_if_include=lo "
    "OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_rmaps_base_oversubscribe=1 "
    "PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe " RENAS_MPIRUN " ";
#else
inline const std::string kMpirun;
#endif

}  // namespace renas::test
