# Warnings are errors on our own targets (MOESAIC_WERROR); third-party headers come in as SYSTEM.
add_library(moesaic_flags INTERFACE)
target_compile_options(moesaic_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                       $<$<BOOL:${MOESAIC_WERROR}>:-Werror> -Wno-missing-field-initializers)  # options are given by name, the rest have defaults
# No C++ bindings in mpi.h; everywhere, so that precompiled headers fit every target.
target_compile_definitions(moesaic_flags INTERFACE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
target_include_directories(moesaic_flags INTERFACE "${CMAKE_SOURCE_DIR}/libtrain")
if(MOESAIC_SANITIZE)
  target_compile_options(moesaic_flags INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer)
  target_link_options(moesaic_flags INTERFACE -fsanitize=address,undefined)
endif()

# moesaic_module(NAME LIBRARIES...): the sources in libtrain/NAME as the static library moesaic_NAME.
set(torch_free core arch accounting aggregate identity metrics config observe protocol monitor sites)
function(moesaic_module name)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp")
  add_library(moesaic_${name} STATIC ${sources})
  target_link_libraries(moesaic_${name} PUBLIC moesaic_flags ${ARGN})
  set_target_properties(moesaic_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  if(name IN_LIST torch_free)
    moesaic_precompile(moesaic_${name} moesaic_core ${plain_headers})
  else()
    moesaic_precompile(moesaic_${name} moesaic_comm ${tensor_headers})
  endif()
endfunction()
