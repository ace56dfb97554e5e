# How every target of the project is made, so that warnings, sanitizers and
# include roots are said once.

add_library(atoll_options INTERFACE)
# GCC 12 sees overlaps inside std::string that cannot be (its bug 105651).
# nvcc takes none of these by itself.
target_compile_options(atoll_options INTERFACE
  $<$<COMPILE_LANGUAGE:C,CXX>:-Wall -Wextra -fno-math-errno>
  $<$<C_COMPILER_ID:GNU>:$<$<COMPILE_LANGUAGE:C,CXX>:-Wno-restrict>>)
target_include_directories(atoll_options INTERFACE ${CMAKE_SOURCE_DIR})
if(ATOLL_SANITIZE)
  # The last is GCC's own advice: sanitizers confuse it.
  target_compile_options(atoll_options INTERFACE
    $<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=${ATOLL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all>
    $<$<C_COMPILER_ID:GNU>:$<$<COMPILE_LANGUAGE:C,CXX>:-Wno-maybe-uninitialized>>)
  target_link_options(atoll_options INTERFACE -fsanitize=${ATOLL_SANITIZE})
endif()
if(ATOLL_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    message(FATAL_ERROR "ATOLL_FUZZ needs Clang, whose libFuzzer it uses; take the preset `fuzz`")
  endif()
  # Counts which branches an input takes; the fuzzers themselves bring main() along.
  target_compile_options(atoll_options INTERFACE -fsanitize=fuzzer-no-link
    -fsanitize-coverage-ignorelist=${CMAKE_SOURCE_DIR}/tests/fuzz/coverage.ignore)
endif()

# atoll_library(name SOURCES a.cc b.cc DEPS x y): a static library of one folder.
function(atoll_library name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_link_libraries(${name} PUBLIC atoll_options ${A_DEPS})
endfunction()

# atoll_module(name SOURCES a.cc DEPS x y): a plug-in, lib<name>.so, that exports atoll_plugin alone. It takes the
# project's libraries in, and must not share a symbol with the program that loads it.
function(atoll_module name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} MODULE ${A_SOURCES})
  target_link_libraries(${name} PRIVATE atoll_options ${A_DEPS})
  target_link_options(${name} PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/plugin.map)
endfunction()

# atoll_test(name SOURCES a_test.cc DEPS x y [LABELS l] [TIMEOUT s]): one gtest binary, one ctest entry.
function(atoll_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE atoll_options ${A_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT} LABELS "${A_LABELS}")
endfunction()
