# What the cuDNN backend needs: the CUDA toolkit and cuDNN; of the latter, an emulated build needs the headers
# only. NCCL's header, where it is there. Hints: CUDAToolkit_ROOT, CUDNN_ROOT, NCCL_ROOT.

if(NOT RENAS_CUDA MATCHES "^(OFF|ON|EMULATED)$")
  message(FATAL_ERROR "RENAS_CUDA: expected OFF, ON or EMULATED, got '${RENAS_CUDA}'")
endif()
if(NOT RENAS_CUDA_RUNTIME MATCHES "^(STATIC|SHARED)$")
  message(FATAL_ERROR "RENAS_CUDA_RUNTIME: expected STATIC or SHARED, got '${RENAS_CUDA_RUNTIME}'")
endif()
if(NOT RENAS_CUDA)
  return()
endif()

if(RENAS_CUDA STREQUAL "ON")
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80 90 CACHE STRING "GPUs to build for: compute capabilities without the dot")
  endif()
  enable_language(CUDA)
  if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    # CMake 3.25 does not know that nvcc 12 and newer have C++20.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
endif()
find_package(CUDAToolkit 12.0 QUIET)
if(NOT CUDAToolkit_FOUND)
  message(FATAL_ERROR "The CUDA toolkit 12.0 or newer was not found. Say where it is by -DCUDAToolkit_ROOT=DIR, "
                      "or configure with -DRENAS_CUDA=OFF to build without it.")
endif()

# cuDNN lies in a folder of its own, in the toolkit, in the system, or in Python's package nvidia-cudnn, which has
# libcudnn.so.9 and no libcudnn.so.
set(cudnn_folders ${CUDNN_ROOT} $ENV{CUDNN_ROOT} ${CUDAToolkit_INCLUDE_DIRS} ${CUDAToolkit_LIBRARY_ROOT} /usr)
find_program(RENAS_PYTHON3 python3)
mark_as_advanced(RENAS_PYTHON3)
if(RENAS_PYTHON3 AND NOT CUDNN_INCLUDE_DIR)
  execute_process(COMMAND ${RENAS_PYTHON3} -c "import nvidia.cudnn; print(list(nvidia.cudnn.__path__)[0])"
                  OUTPUT_VARIABLE wheel ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  list(APPEND cudnn_folders ${wheel})
endif()
find_path(CUDNN_INCLUDE_DIR cudnn_graph.h HINTS ${cudnn_folders} PATH_SUFFIXES include)
get_filename_component(cudnn_folder "${CUDNN_INCLUDE_DIR}" DIRECTORY)
find_library(CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 NAMES_PER_DIR PATH_SUFFIXES lib lib64
             HINTS ${cudnn_folder} ${cudnn_folders} ${CUDAToolkit_LIBRARY_DIR})
if(NOT CUDNN_INCLUDE_DIR OR (RENAS_CUDA STREQUAL "ON" AND NOT CUDNN_LIBRARY))
  message(FATAL_ERROR "cuDNN 9 (cudnn_graph.h and libcudnn.so.9) was not found. Say where it is by -DCUDNN_ROOT=DIR, "
                      "or configure with -DRENAS_CUDA=OFF to build without it.")
endif()
file(STRINGS ${CUDNN_INCLUDE_DIR}/cudnn_version.h cudnn_major REGEX "^#define CUDNN_MAJOR +[0-9]+")
string(REGEX MATCH "[0-9]+" cudnn_major "${cudnn_major}")
if(cudnn_major STREQUAL "" OR cudnn_major LESS 9)
  message(FATAL_ERROR "cuDNN 9 or newer is needed; ${CUDNN_INCLUDE_DIR} has ${cudnn_major}")
endif()
if(CUDNN_LIBRARY AND NOT TARGET CUDNN::cudnn)
  add_library(CUDNN::cudnn SHARED IMPORTED)
  set_target_properties(CUDNN::cudnn PROPERTIES IMPORTED_LOCATION ${CUDNN_LIBRARY}
                                                INTERFACE_INCLUDE_DIRECTORIES ${CUDNN_INCLUDE_DIR})
endif()

# NCCL lies in the same kinds of places, in Python's package nvidia-nccl. Programs open the library when they run,
# first as the loader finds it, then where it is now.
if(RENAS_WITH_NCCL)
  set(nccl_folders ${NCCL_ROOT} $ENV{NCCL_ROOT} ${CUDAToolkit_INCLUDE_DIRS} ${CUDAToolkit_LIBRARY_ROOT} /usr)
  if(RENAS_PYTHON3 AND NOT RENAS_NCCL_INCLUDE_DIR)
    execute_process(COMMAND ${RENAS_PYTHON3} -c "import nvidia.nccl; print(list(nvidia.nccl.__path__)[0])"
                    OUTPUT_VARIABLE wheel ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
    list(APPEND nccl_folders ${wheel})
  endif()
  find_path(RENAS_NCCL_INCLUDE_DIR nccl.h HINTS ${nccl_folders} PATH_SUFFIXES include)
  if(RENAS_NCCL_INCLUDE_DIR)
    file(STRINGS ${RENAS_NCCL_INCLUDE_DIR}/nccl.h nccl_version REGEX "^#define NCCL_VERSION_CODE +[0-9]+")
    string(REGEX MATCH "[0-9]+" nccl_version "${nccl_version}")
    if(nccl_version LESS 21400)
      message(STATUS "NCCL 2.14 or newer is needed; ${RENAS_NCCL_INCLUDE_DIR}/nccl.h is of version ${nccl_version}")
      set(RENAS_NCCL_INCLUDE_DIR "")
    endif()
  endif()
  if(RENAS_NCCL_INCLUDE_DIR)
    get_filename_component(nccl_folder "${RENAS_NCCL_INCLUDE_DIR}" DIRECTORY)
    find_file(RENAS_NCCL_LIBRARY libnccl.so.2 PATH_SUFFIXES lib lib64
              HINTS ${nccl_folder} ${nccl_folders} ${CUDAToolkit_LIBRARY_DIR})
    if(NOT RENAS_NCCL_LIBRARY)
      set(RENAS_NCCL_LIBRARY "")
    endif()
  elseif(RENAS_WITH_NCCL STREQUAL "AUTO")
    message(STATUS "NCCL's nccl.h was not found, so ranks sum gradients through the hosts and MPI, not among their GPUs. "
                   "Say where it is by -DNCCL_ROOT=DIR.")
  else()
    message(FATAL_ERROR "NCCL's nccl.h was not found. Say where it is by -DNCCL_ROOT=DIR, "
                        "or configure with -DRENAS_WITH_NCCL=OFF to build without it.")
  endif()
endif()
