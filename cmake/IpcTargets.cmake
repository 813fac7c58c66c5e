# SPDX-License-Identifier: Apache-2.0
#
# Helpers for libraries whose sources are found by folder. A library without
# sources (yet, or header only) becomes an INTERFACE library, so that whatever
# links it need not know.

# `cmake --build <dir> --target ipc_generated` makes all generated headers and
# compiles nothing: what clang-tidy needs.
add_custom_target(ipc_generated)

# ipc_static_library(<name> SOURCES [<file>...] DEPS <target>...
#                    [INCLUDES <dir>...])
# The root of the repository is always an include directory.
function(ipc_static_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS;INCLUDES")
  set(scope PUBLIC)
  if(arg_SOURCES)
    add_library(${name} STATIC ${arg_SOURCES})
  else()
    add_library(${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${name} ${scope}
    "${PROJECT_SOURCE_DIR}" ${arg_INCLUDES})
  target_link_libraries(${name} ${scope} ${arg_DEPS})
endfunction()

# ipc_proto_library(<name> IMPORT_DIR <dir> PROTOS [<file>...])
# A static library of the C++ code for .proto files; the headers are included
# by their path below IMPORT_DIR. Generated code is not held to our warnings.
function(ipc_proto_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "IMPORT_DIR" "PROTOS")
  cmake_path(ABSOLUTE_PATH arg_IMPORT_DIR NORMALIZE)
  set(out "${CMAKE_CURRENT_BINARY_DIR}/generated/${name}")
  set(generated "")
  foreach(proto IN LISTS arg_PROTOS)
    cmake_path(ABSOLUTE_PATH proto NORMALIZE)
    cmake_path(RELATIVE_PATH proto BASE_DIRECTORY "${arg_IMPORT_DIR}"
      OUTPUT_VARIABLE relative)
    cmake_path(REMOVE_EXTENSION relative LAST_ONLY OUTPUT_VARIABLE stem)
    set(outputs "${out}/${stem}.pb.cc" "${out}/${stem}.pb.h")
    add_custom_command(OUTPUT ${outputs}
      COMMAND "${CMAKE_COMMAND}" -E make_directory "${out}"
      COMMAND protobuf::protoc "-I${arg_IMPORT_DIR}" "--cpp_out=${out}"
        "${proto}"
      DEPENDS ${arg_PROTOS} protobuf::protoc
      COMMENT "protoc ${relative}" VERBATIM)
    list(APPEND generated ${outputs})
  endforeach()
  if(NOT generated)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE protobuf::libprotobuf)
    return()
  endif()
  add_library(${name} STATIC ${generated})
  target_compile_options(${name} PRIVATE -w)
  target_include_directories(${name} SYSTEM PUBLIC "${out}")
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf)
  add_custom_target(${name}_generated DEPENDS ${generated})
  add_dependencies(${name} ${name}_generated)
  add_dependencies(ipc_generated ${name}_generated)
endfunction()
