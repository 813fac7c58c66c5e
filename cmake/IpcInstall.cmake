# SPDX-License-Identifier: Apache-2.0
#
# What `cmake --install` copies: the library with its headers, the broker,
# ipcctl, a pkg-config file and a CMake package with the target ipc::ipc.
include(CMakePackageConfigHelpers)

foreach(program ipc-broker ipcctl)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME)
  endif()
endforeach()
if(NOT TARGET ipc)
  return()
endif()

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/ipc")
install(TARGETS ipc EXPORT ipcTargets LIBRARY)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/libipc/include/ipc"
  TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
install(EXPORT ipcTargets NAMESPACE ipc:: DESTINATION "${package_dir}")

configure_package_config_file(cmake/ipcConfig.cmake.in ipcConfig.cmake
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/ipcConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/ipcConfig.cmake"
  "${PROJECT_BINARY_DIR}/ipcConfigVersion.cmake"
  DESTINATION "${package_dir}")

# Relative to itself, so that `cmake --install --prefix` may move it.
set(pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH pc_to_prefix "/${pkgconfig_dir}" "/")
configure_file(cmake/ipc.pc.in ipc.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/ipc.pc" DESTINATION "${pkgconfig_dir}")
