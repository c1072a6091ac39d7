() => {
  // Radiologists read in the dark; the page has one look.
  document.body.classList.add("dark");
  // The wheel over the CT leafs through its slices, as on any workstation.
  document.addEventListener("wheel", (event) => {
    if (!event.target.closest("#picture")) return;
    const slider = document.querySelector("#slice input[type=range]");
    if (!slider || slider.disabled) return;
    event.preventDefault();
    const next = Number(slider.value) + (event.deltaY > 0 ? 1 : -1);
    const setValue = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
    setValue.call(slider, Math.min(Math.max(next, Number(slider.min)), Number(slider.max)));
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  }, { passive: false });
}
