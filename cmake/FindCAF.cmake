# Debian's CAF 0.17 ships no CMake package: find its header and libraries.
# Defines CAF::core. Requires 0.17.x, because the 0.18 API differs.
find_path(CAF_INCLUDE_DIR caf/config.hpp)
find_library(CAF_CORE_LIBRARY caf_core)
if(CAF_INCLUDE_DIR)
  file(STRINGS ${CAF_INCLUDE_DIR}/caf/config.hpp CAF_VERSION_LINE REGEX "^#define CAF_VERSION [0-9]+")
  string(REGEX REPLACE "[^0-9]" "" CAF_VERSION_NUMBER "${CAF_VERSION_LINE}")
  math(EXPR CAF_MINOR "(${CAF_VERSION_NUMBER} / 100) % 100")
  math(EXPR CAF_PATCH "${CAF_VERSION_NUMBER} % 100")
  set(CAF_VERSION 0.${CAF_MINOR}.${CAF_PATCH})
  if(NOT CAF_MINOR EQUAL 17)
    message(FATAL_ERROR "CAF ${CAF_VERSION} found; 0.17 is needed (Debian 12: libcaf-dev)")
  endif()
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CAF REQUIRED_VARS CAF_CORE_LIBRARY CAF_INCLUDE_DIR VERSION_VAR CAF_VERSION)
if(CAF_FOUND AND NOT TARGET CAF::core)
  add_library(CAF::core UNKNOWN IMPORTED)
  set_target_properties(CAF::core PROPERTIES IMPORTED_LOCATION ${CAF_CORE_LIBRARY}
                        INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${CAF_INCLUDE_DIR}
                        INTERFACE_INCLUDE_DIRECTORIES ${CAF_INCLUDE_DIR})
endif()
