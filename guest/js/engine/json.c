/* Put before js_json_to_str of quickjs.c by the recipe (guest/js/build.sh): plain objects of JSON.stringify.
 *
 * The engine makes an array of an object's keys, looks each one up by its text and writes a quoted copy of it. Here the object's shape is read instead. Keys and their
 * order are those of the shape at the beginning, as the standard has it; it's held, so that the engine can't change it in place. What a toJSON
 * or a getter changes meanwhile is seen by the object's having another shape, and from then on values are got by name. */
static int js_json_to_str(JSContext *ctx, JSONStringifyContext *jsc, JSValueConst holder, JSValue val,
                          JSValueConst indent);

/* Whether the order of its shape is that of its keys: no array indexes, which would come first. */
static bool json_is_plain_object(JSContext *ctx, const JSObject *p) {
    uint32_t index;
    const JSShapeProperty *pr = get_shape_prop(p->shape);
    if (p->class_id != JS_CLASS_OBJECT || p->is_exotic)
        return false;
    for (int i = 0; i < p->shape->prop_count; i++)
        if (pr[i].atom != JS_ATOM_NULL && JS_AtomIsArrayIndex(ctx, &index, pr[i].atom))
            return false;
    return true;
}

static bool json_is_key(JSContext *ctx, const JSShapeProperty *pr) {
    return pr->atom != JS_ATOM_NULL && (pr->flags & JS_PROP_ENUMERABLE) &&
           ctx->rt->atom_array[pr->atom]->atom_type == JS_ATOM_TYPE_STRING;
}

static int json_write_key(JSContext *ctx, JSONStringifyContext *jsc, JSAtom atom, JSValueConst sep,
                          JSValueConst sep1) {
    JSString *p = ctx->rt->atom_array[atom];
    string_buffer_concat_value(jsc->b, sep);
    if (json_is_plain_string(p)) {
        string_buffer_putc8(jsc->b, '"');
        string_buffer_write8(jsc->b, str8(p), p->len);
        string_buffer_putc8(jsc->b, '"');
    } else {
        JSValue quoted = JS_ToQuotedStringFree(ctx, JS_AtomToString(ctx, atom));
        if (JS_IsException(quoted) || string_buffer_concat_value_free(jsc->b, quoted))
            return -1;
    }
    string_buffer_putc8(jsc->b, ':');
    return string_buffer_concat_value(jsc->b, sep1);
}

/* The value of a property, as toJSON and the replacer leave it; JS_UNDEFINED: nothing is written. */
static JSValue json_property(JSContext *ctx, JSONStringifyContext *jsc, JSValueConst val, const JSShape *sh,
                             int i) {
    const JSObject *p = JS_VALUE_GET_OBJ(val);
    const JSShapeProperty *pr = &get_shape_prop((JSShape *)sh)[i];
    JSValue name = JS_UNDEFINED, v;
    if (p->shape == sh && (pr->flags & JS_PROP_TMASK) == JS_PROP_NORMAL)
        v = js_dup(p->prop[i].u.value);
    else
        v = JS_GetProperty(ctx, val, pr->atom);
    if (JS_IsException(v))
        return v;
    if (JS_IsObject(v) || JS_IsBigInt(v) || !JS_IsUndefined(jsc->replacer_func)) {
        name = JS_AtomToString(ctx, pr->atom);
        if (JS_IsException(name)) {
            JS_FreeValue(ctx, v);
            return name;
        }
    }
    v = js_json_check(ctx, jsc, val, v, name);
    JS_FreeValue(ctx, name);
    return v;
}

static int json_write_plain_object(JSContext *ctx, JSONStringifyContext *jsc, JSValueConst val,
                                   JSValueConst indent, JSValueConst sep, JSValueConst sep1, bool *has_content) {
    JSShape *sh = js_dup_shape(JS_VALUE_GET_OBJ(val)->shape);
    int failed = 0;
    for (int i = 0; i < sh->prop_count && !failed; i++) {
        JSAtom atom = get_shape_prop(sh)[i].atom;
        if (!json_is_key(ctx, &get_shape_prop(sh)[i]))
            continue;
        JSValue v = json_property(ctx, jsc, val, sh, i);
        if (JS_IsUndefined(v))
            continue;
        if (JS_IsException(v)) {
            failed = -1;
            break;
        }
        if (*has_content)
            string_buffer_putc8(jsc->b, ',');
        *has_content = true;
        if (json_write_key(ctx, jsc, atom, sep, sep1)) {
            JS_FreeValue(ctx, v);
            failed = -1;
        } else {
            failed = js_json_to_str(ctx, jsc, val, v, indent);
        }
    }
    js_free_shape(ctx->rt, sh);
    return failed;
}
