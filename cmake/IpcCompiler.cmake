# SPDX-License-Identifier: Apache-2.0
#
# Language, warnings and visibility for every target below the root.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

# Static parts end up in libipc.so, which exports what IPC_EXPORT marks.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

find_program(IPC_CCACHE ccache)
if(IPC_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${IPC_CCACHE}")
endif()

add_compile_options(-Wall -Wextra -Wshadow -Wconversion)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # clang counts sign conversions among -Wconversion, g++ does not. One rule
  # for both, or what builds with one fails with the other.
  add_compile_options(-Wno-sign-conversion -Wthread-safety)
endif()
if(IPC_WERROR)
  add_compile_options(-Werror)
endif()

# __FILE__ is the path from the root: no build machine's paths in binaries.
add_compile_options("-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=")

if(CMAKE_CXX_FLAGS MATCHES "-fsanitize=thread")
  add_library(ipc_tsan_abseil OBJECT cmake/tsan_abseil.cc)
  link_libraries(ipc_tsan_abseil)
endif()
