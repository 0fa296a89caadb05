/* Appended to quickjs.c by the recipe (guest/js/build.sh): freezing the heap of an image.
 *
 * A sandbox pays for each page of its image that it writes to, and counting references writes to every object that's merely looked at: 30 of the 47 pages that a
 * trivial call wrote. So when an image is complete its objects become immortal: their counts aren't kept any longer (the recipe makes each place that counts ask
 * IMMORTAL first), and the collector of cycles doesn't visit them. What a task makes lives and dies as ever; what it hangs on an object of the image stays until
 * the sandbox ends, since that object is alive.
 *
 * New objects don't go into holes between those of the image: arenas that have some are never used again. */
void JS_FreezeHeap(JSRuntime *rt) {
    struct list_head *el;
    for (int i = 0; i < JS_ARENA_BLOCK_SIZE_COUNT; i++) {
        list_for_each(el, &rt->arena_state.arena_list[i]) {
            JSArena *ar = list_entry(el, JSArena, link);
            for (int k = 0; k < ar->n_blocks; k++) {
                JSMallocBlockHeader *b = arena_get_block(ar, k, arena_block_sizes[i]);
                b->ref_count = JS_IMMORTAL; /* of a free one, or no object: it's set when it's used */
            }
            if (ar->n_used_blocks < ar->n_blocks) {
                list_del(&ar->free_link);
                init_list_head(&ar->free_link);
            }
        }
    }
    /* The objects stay linked to each other, so that those that are too large for arenas can still be freed. */
    list_del(&rt->gc_obj_list);
    init_list_head(&rt->gc_obj_list);
}
