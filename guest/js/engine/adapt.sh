# Changes to QuickJS-ng's source (bash; sourced by guest/js/build.sh). Each looks for exactly what it replaces, and fails the build where the engine
# has changed.

# engine_replace FILE BEFORE AFTER: replaces the only line BEFORE.
engine_replace() {
    hint "$1 of QuickJS-ng isn't as guest/js/engine/adapt.sh expects it; adapt the step"
    [ "$(grep -cFx -- "$2" "$1")" = 1 ]
    BEFORE=$2 AFTER=$3 perl -i -pe 's/^\Q$ENV{BEFORE}\E$/$ENV{AFTER}/' "$1"
}

# Keys of maps and sets are found by the low bits of a hash that has only zeros there for small integers and for many pointers: 5,000 integers as keys made each
# look-up a hundred times slower. The high bits have what tells them apart.
engine_spread_hashes() {
    step "spread the hashes of map keys"
    engine_replace quickjs.c '    return h ^ ctx->hash_seed ^ hash32(tag);' '    h = hash32(h ^ ctx->hash_seed ^ hash32(tag));
    return h ^ h >> 16;'
}

# An arena was given back as soon as it was empty, and made anew for the next object: a loop that makes one object and drops it set up 4 KiB each time round. The only
# one of its size stays now.
engine_keep_last_arena() {
    step "keep the last arena of each size"
    engine_replace quickjs.c '        if (unlikely(ar->n_used_blocks == 0)) {' '        if (unlikely(ar->n_used_blocks == 0 && ar->free_link.next != ar->free_link.prev)) {'
}

# JSON.stringify wrote strings character by character, made the text of each index of an array for a toJSON that only objects have, and an array of each object's keys: see
# json.c. Results are the same.
engine_quicken_json() {
    step "quicken JSON.stringify"
    engine_replace quickjs.c 'static JSValue JS_ToQuotedString(JSContext *ctx, JSValueConst val1)' 'static bool json_is_plain_string(const JSString *p)
{
    const uint8_t *at = str8((JSString *)p);
    if (p->is_wide_char)
        return false;
    for (const uint8_t *end = at + p->len; at < end; at++)
        if (*at < 32 || *at == 34 || *at == 92)
            return false;
    return true;
}

static JSValue JS_ToQuotedString(JSContext *ctx, JSValueConst val1)'
    engine_replace quickjs.c '    if (string_buffer_init(ctx, b, p->len + 2))' '    if (json_is_plain_string(p)) {
        JSString *quoted = js_alloc_string(ctx, p->len + 2, 0);
        if (quoted) {
            uint8_t *to = str8(quoted);
            to[0] = to[p->len + 1] = 34;
            memcpy(to + 1, str8(p), p->len);
            to[p->len + 2] = 0;
        }
        JS_FreeValue(ctx, val);
        return quoted ? JS_MKPTR(JS_TAG_STRING, quoted) : JS_EXCEPTION;
    }
    if (string_buffer_init(ctx, b, p->len + 2))'
    engine_replace quickjs.c '                prop = JS_ToStringFree(ctx, js_int64(i));' '                prop = JS_IsObject(v) || JS_IsBigInt(v) || !JS_IsUndefined(jsc->replacer_func)
                    ? JS_ToStringFree(ctx, js_int64(i)) : JS_UNDEFINED;'
    engine_replace quickjs.c 'static int js_json_to_str(JSContext *ctx, JSONStringifyContext *jsc,' "$(cat "$here/engine/json.c")
static int js_json_to_str(JSContext *ctx, JSONStringifyContext *jsc,"
    engine_replace quickjs.c '            if (!JS_IsUndefined(jsc->property_list))' '            bool plain = JS_IsUndefined(jsc->property_list) && json_is_plain_object(ctx, p);
            if (plain)
                tab = js_dup(jsc->empty); /* nothing is left for the loop below */
            else if (!JS_IsUndefined(jsc->property_list))'
    engine_replace quickjs.c '            has_content = false;' '            has_content = false;
            if (plain && json_write_plain_object(ctx, jsc, val, indent1, sep, sep1, &has_content))
                goto exception;'
}

# See freeze.c. The small-block allocator asks first whether the shim's own (common/nursery.h) has room.
engine_freeze_heap() {
    step "make frozen objects immortal"
    engine_replace quickjs.c '#define JS_GC_MARK(p)   (js_rc(p)->mark)' '#define JS_GC_MARK(p)   (js_rc(p)->mark)
enum { JS_IMMORTAL = 1 << 30 };
static inline void js_rc_inc(const void *p)
{
    int *count = &js_rc(p)->ref_count;
    if (*count < JS_IMMORTAL)
        ++*count;
}
static inline int js_rc_dec(const void *p)
{
    int *count = &js_rc(p)->ref_count;
    return *count < JS_IMMORTAL ? --*count : *count;
}'
    perl -i -pe 's/--JS_REF_COUNT\(([\w>.-]+)\)/js_rc_dec($1)/g; s/JS_REF_COUNT\(([\w>.-]+)\)\+\+/js_rc_inc($1)/g; s/JS_REF_COUNT\(([\w>.-]+)\)--/js_rc_dec($1)/g' quickjs.c
    [ "$(grep -c 'js_rc_inc(' quickjs.c)" = 20 ]
    [ "$(grep -c 'js_rc_dec(' quickjs.c)" = 10 ]
    [ "$(grep -cE 'JS_REF_COUNT\(.*\) *(\+\+|--|[-+]=)|(\+\+|--) *JS_REF_COUNT' quickjs.c)" = 0 ]
    engine_replace quickjs.c '#define JS_ARENA_LARGE_BLOCKS_ONLY 0' 'extern bool nursery_is_open;
#define JS_ARENA_LARGE_BLOCKS_ONLY nursery_is_open'
    cat "$here/engine/freeze.c" >>quickjs.c
}

# What the engine watches is the stack in linear memory; in WebAssembly calls also take native stack, of which the parsers need twenty times as much. They may use less
# of the one, so that deep nesting is an error before the other is full, which would be a trap.
engine_bound_parsers() {
    step "bound how deep the parsers nest"
    hint "next_token or json_next_token in quickjs.c has changed; adapt guest/js/engine/adapt.sh"
    [ "$(grep -cFx '    if (js_check_stack_overflow(s->ctx->rt, 1000)) {' quickjs.c)" = 2 ]
    sed -i 's/^    if (js_check_stack_overflow(s->ctx->rt, 1000)) {$/    if (js_check_stack_overflow(s->ctx->rt, 1310720)) {/' quickjs.c
}

# For tests (CAPSULE_GC_STRESS): once an image is complete cycles are collected before every allocation of an object, and what's freed is overwritten, so that an object
# which is used after that is noticed.
engine_stress() {
    step "add the means for tests of the collector"
    engine_replace quickjs.c '    force_gc = ((rt->malloc_state.malloc_size + size) >' '#ifdef CAPSULE_GC_STRESS
    extern bool memory_stress;
    if (memory_stress) {
        JS_RunGC(rt);
        return;
    }
#endif
    force_gc = ((rt->malloc_state.malloc_size + size) >'
    engine_replace quickjs.c '        b->u.free_next = ar->first_free_block;' '#ifdef CAPSULE_GC_STRESS
        memset(ptr, 0xdb, block_size - sizeof *b);
#endif
        b->u.free_next = ar->first_free_block;'
}

engine_adapt() {
    engine_spread_hashes
    engine_keep_last_arena
    engine_quicken_json
    engine_freeze_heap
    engine_bound_parsers
    engine_stress
}
