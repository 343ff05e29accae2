# What both libraries have in common.

# Only the namespace pjrt leaves a shared library: neither what it was built from (libzip.a, say) nor instances of standard templates.
set(PJRT_EXPORTS ${CMAKE_CURRENT_LIST_DIR}/exports.map)

function(pjrt_library_properties TARGET)
  set_target_properties(
    ${TARGET}
    PROPERTIES
      # The static library is also linked into shared libraries and modules.
      POSITION_INDEPENDENT_CODE ON
      CXX_VISIBILITY_PRESET hidden
      VISIBILITY_INLINES_HIDDEN ON
      VERSION ${PROJECT_VERSION}
      # Minor versions before 1.0 break the ABI, as they break the API.
      SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
      INSTALL_RPATH $ORIGIN)
  if(BUILD_SHARED_LIBS)
    target_link_options(${TARGET} PRIVATE -Wl,--version-script=${PJRT_EXPORTS} $<$<NOT:$<BOOL:${PJRT_SANITIZE}>>:-Wl,-z,defs>)
    set_target_properties(${TARGET} PROPERTIES LINK_DEPENDS ${PJRT_EXPORTS})
  endif()
endfunction()
